// Decomposable scores: the fit of one variable given its parents, higher is better.
//
// Variables are numbered 0 .. size - 1. A score is shared by threads; what a computation needs to remember lives
// in a Scratch of its own. Numbers do not depend on the order in which parents are given beyond rounding; searches
// pass them in ascending order wherever they compare results.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <vector>

struct Scratch {
    std::vector<double> rows, left, with;
    std::vector<int32_t> config, cells, totals, order, rare, full, tables;
    std::vector<uint64_t> bits;
};

class Score {
  public:
    explicit Score(int size) : size(size) {}
    virtual ~Score() = default;
    const int size;

    // The score of y given the k variables in `parents`; minus infinity when the parents determine each other.
    virtual double local(int y, const int32_t *parents, int k, Scratch &scratch) const = 0;

    // out[z] = local(y, parents and z) for every z; minus infinity for y itself and for its parents. Values at most
    // `least` may be given as minus infinity.
    virtual void additions(int y, const int32_t *parents, int k, double, double *out, Scratch &scratch) const {
        std::vector<int32_t> more(parents, parents + k);
        more.push_back(0);
        std::vector<char> taken(size, 0);
        taken[y] = 1;
        for (int j = 0; j < k; ++j) taken[parents[j]] = 1;
        for (int z = 0; z < size; ++z) {
            more[k] = z;
            out[z] = taken[z] ? -std::numeric_limits<double>::infinity() : local(y, more.data(), k + 1, scratch);
        }
    }

    // The most that y's parents could add to its fit, free of charge; what `ceiling` needs to know once.
    virtual double top(int, Scratch &) const { return std::numeric_limits<double>::infinity(); }

    // At least local(y, T) for every T that holds the k variables in `parents`; top: of y, infinite when nothing is
    // known.
    virtual double ceiling(int, const int32_t *, int, double top, Scratch &) const { return top; }

    // out[j] = local(y, parents without parents[j]).
    virtual void removals(int y, const int32_t *parents, int k, double *out, Scratch &scratch) const {
        std::vector<int32_t> fewer(k > 0 ? k - 1 : 0);
        for (int j = 0; j < k; ++j) {
            for (int t = 0, u = 0; t < k; ++t)
                if (t != j) fewer[u++] = parents[t];
            out[j] = local(y, fewer.data(), k - 1, scratch);
        }
    }
};
