// An approximate Cholesky factor of a graph's Laplacian, for conjugate gradients on graphs that are chains, stars or
// anything between.
//
// Gao, Y., Kyng, R. and Spielman, D. A. (2023). Robust and practical solution of Laplacian equations by approximate
// elimination. arXiv:2303.00709, algorithm 3: what a vertex leaves between its neighbours is sampled, one edge for each
// neighbour but the heaviest, so that the factor has as many entries as the graph has edges.
#pragma once

#include <algorithm>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

class Laplacian {
  public:
    explicit Laplacian(size_t size) : size_(size), near_(size), sum_(size, 0.0) {}

    // What eliminating a vertex with these neighbours (each once, weights positive) leaves between them.
    void eliminate(std::vector<std::pair<double, int32_t>> &star) {
        if (star.size() < 2) return;
        std::sort(star.begin(), star.end());
        double total = 0;
        for (const auto &[w, u] : star) total += w;
        after_.resize(star.size());  // after_[i]: weights of those behind i
        double rest = 0;
        for (size_t i = star.size(); i-- > 0; rest += star[i].first) after_[i] = rest;
        for (size_t i = 0; i + 1 < star.size(); ++i) {
            // One behind i, with the probability of its weight: the first k whose own followers weigh at most `at`.
            const double at = after_[i] * random();
            size_t low = i + 1, high = star.size() - 1;
            while (low < high) {
                const size_t middle = (low + high) / 2;
                if (after_[middle] <= at) high = middle;
                else low = middle + 1;
            }
            const double w = star[i].first * after_[i] / total;
            near_[star[i].second].push_back({star[low].second, w});
            near_[star[low].second].push_back({star[i].second, w});
        }
    }

    // Eliminates every vertex, those with the fewest neighbours first.
    void factor() {
        using Entry = std::pair<size_t, int32_t>;
        std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> next;
        for (size_t v = 0; v < size_; ++v) {
            merge(int32_t(v));
            next.push({near_[v].size(), int32_t(v)});
        }
        pivot_.assign(size_, 0.0);
        begin_.assign(1, 0);
        std::vector<char> done(size_, 0);
        std::vector<std::pair<double, int32_t>> star;
        while (!next.empty()) {
            const auto [degree, v] = next.top();
            next.pop();
            if (done[v]) continue;
            auto &mine = near_[v];
            mine.erase(std::remove_if(mine.begin(), mine.end(), [&](const auto &e) { return done[e.first]; }),
                       mine.end());
            merge(v);
            if (mine.size() > degree) {  // it has gained neighbours since
                next.push({mine.size(), v});
                continue;
            }
            done[v] = 1;
            star.clear();
            for (const auto &[u, w] : mine) star.push_back({w, u}), pivot_[v] += w;
            for (const auto &[u, w] : mine) to_.push_back(u), part_.push_back(w / pivot_[v]);
            order_.push_back(v);
            begin_.push_back(to_.size());
            eliminate(star);
            std::vector<std::pair<int32_t, double>>().swap(mine);
        }
    }

    // y becomes the solution for it, (size, K); a component's constant is left where it falls.
    template <int K> void solve(double *y) const {
        for (size_t i = 0; i < size_; ++i) {
            double *own = y + size_t(order_[i]) * K;
            for (size_t e = begin_[i]; e < begin_[i + 1]; ++e)
                for (int k = 0; k < K; ++k) y[size_t(to_[e]) * K + k] += part_[e] * own[k];
            const double d = pivot_[order_[i]];
            for (int k = 0; k < K; ++k) own[k] = d > 0 ? own[k] / d : 0.0;
        }
        for (size_t i = size_; i-- > 0;) {
            double *own = y + size_t(order_[i]) * K;
            for (size_t e = begin_[i]; e < begin_[i + 1]; ++e)
                for (int k = 0; k < K; ++k) own[k] += part_[e] * y[size_t(to_[e]) * K + k];
        }
    }

  private:
    // Several edges to one neighbour become one.
    void merge(int32_t v) {
        auto &mine = near_[v];
        for (const auto &[u, w] : mine) sum_[u] += w;
        size_t kept = 0;
        for (const auto &[u, w] : mine)
            if (sum_[u] > 0) mine[kept++] = {u, sum_[u]}, sum_[u] = 0;
        mine.resize(kept);
    }

    double random() {  // splitmix64, the same draws every time
        uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return double((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }

    size_t size_;
    std::vector<std::vector<std::pair<int32_t, double>>> near_;
    std::vector<double> sum_, after_, pivot_, part_;
    std::vector<size_t> begin_;
    std::vector<int32_t> order_, to_;
    uint64_t state_ = 0;
};
