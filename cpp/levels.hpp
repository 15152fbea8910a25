// Rows of several factors in the order of the largest one's levels, and what the others' levels weigh in it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "pairs.hpp"

constexpr size_t SMALL = 1 << 14;  // rows below which one thread is faster

struct Problem {
    size_t n = 0, groups = 0, others = 0, levels = 0;
    std::vector<int64_t> start;      // group g of the largest factor has rows start[g] .. start[g + 1] - 1
    std::vector<int64_t> from;       // the row at each place in the order of groups
    std::vector<int32_t> place;      // (n, others): levels of the other factors, numbered on from factor to factor
    std::vector<double> weight;      // (n,), in the order of groups; empty for equal ones
    std::vector<double> size;        // (groups,), sums of weights
    std::vector<size_t> first;       // of each factor in the numbering of levels
    std::vector<size_t> cut;         // groups of chunk c: cut[c] .. cut[c + 1] - 1, by the data alone
    double w(size_t r) const { return weight.empty() ? 1.0 : weight[r]; }
    size_t chunks() const { return cut.size() - 1; }
};

inline Problem sorted(const In<int32_t, 2> &codes, const In<int64_t, 1> &counts, const In<double, 1> &weights) {
    Problem p;
    p.n = codes.shape(1), p.others = codes.shape(0) - 1, p.groups = size_t(counts.data()[0]);
    p.first.assign(1, 0);
    for (size_t f = 0; f < p.others; ++f) p.first.push_back(p.first.back() + size_t(counts.data()[f + 1]));
    p.levels = p.first.back();
    const int32_t *largest = codes.data();
    p.start.assign(p.groups + 1, 0);
    for (size_t i = 0; i < p.n; ++i) ++p.start[largest[i] + 1];
    std::partial_sum(p.start.begin(), p.start.end(), p.start.begin());
    p.from.resize(p.n);
    std::vector<int64_t> next(p.start.begin(), p.start.end() - 1);
    for (size_t i = 0; i < p.n; ++i) p.from[next[largest[i]]++] = int64_t(i);
    p.place.resize(p.n * p.others);
    for (size_t f = 0; f < p.others; ++f)
        for (size_t r = 0; r < p.n; ++r)
            p.place[r * p.others + f] = int32_t(p.first[f]) + codes.data()[(f + 1) * p.n + size_t(p.from[r])];
    if (weights.shape(0)) {
        p.weight.resize(p.n);
        for (size_t r = 0; r < p.n; ++r) p.weight[r] = weights.data()[p.from[r]];
    }
    p.size.assign(p.groups, 0.0);
    for (size_t g = 0; g < p.groups; ++g)
        for (int64_t r = p.start[g]; r < p.start[g + 1]; ++r) p.size[g] += p.w(size_t(r));
    const size_t chunks = p.n < SMALL ? 1 : std::clamp(p.n / std::max<size_t>(p.levels, 1), size_t(2), size_t(8));
    p.cut.assign(1, 0);
    for (size_t c = 1; c <= chunks; ++c) {
        const auto row = int64_t(p.n * c / chunks);
        p.cut.push_back(size_t(std::lower_bound(p.start.begin(), p.start.end(), row) - p.start.begin()));
    }
    return p;
}

// Weights of each distinct level of factor f in group g.
inline void star_of(const Problem &p, size_t f, size_t g, std::vector<double> &sum,
                    std::vector<std::pair<double, int32_t>> &star) {
    star.clear();
    const auto level = [&](int64_t r) { return size_t(p.place[size_t(r) * p.others + f]) - p.first[f]; };
    for (int64_t r = p.start[g]; r < p.start[g + 1]; ++r) sum[level(r)] += p.w(size_t(r));
    for (int64_t r = p.start[g]; r < p.start[g + 1]; ++r) {
        double &s = sum[level(r)];
        if (s > 0) star.push_back({s, int32_t(level(r))});
        s = 0;
    }
}

// The diagonal of the normal equations without the largest factor; 0 for levels that it decides.
inline std::vector<double> diagonal(const Problem &p) {
    std::vector<double> whole(p.levels, 0.0), less(p.levels, 0.0);
    std::vector<std::pair<double, int32_t>> star;
    for (size_t f = 0; f < p.others; ++f) {
        std::vector<double> sum(p.first[f + 1] - p.first[f], 0.0);
        for (size_t g = 0; g < p.groups; ++g) {
            star_of(p, f, g, sum, star);
            for (const auto &[w, level] : star) {
                whole[p.first[f] + size_t(level)] += w;
                less[p.first[f] + size_t(level)] += w * w / p.size[g];
            }
        }
    }
    for (size_t j = 0; j < p.levels; ++j) whole[j] = whole[j] - less[j] > 1e-12 * whole[j] ? whole[j] - less[j] : 0.0;
    return whole;
}
