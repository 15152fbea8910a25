// The Gaussian score of variables that stand for several columns each, such as a category and its indicators.
//
// Andrews, B., Ramsey, J. and Cooper, G. F. (2019). Learning high-dimensional directed acyclic graphs with mixed
// data-types. Proceedings of Machine Learning Research 104:4-21, section 3 (degenerate Gaussian score).
#pragma once

#include <algorithm>

#include "score.hpp"

class BlockScore final : public Score {
  public:
    // r: (c, c) correlations of the columns; those of variable v are starts[v] .. starts[v + 1] - 1. price: of each
    // coefficient; structure: what each parent costs beside, as a log prior.
    BlockScore(std::vector<double> r, std::vector<int32_t> starts, double n, double price, double structure)
        : Score(int(starts.size()) - 1), r_(std::move(r)), starts_(std::move(starts)), n_(n), price_(price),
          structure_(structure) {}

    double local(int y, const int32_t *parents, int k, Scratch &s) const override {
        s.order.clear();
        for (int j = 0; j < k; ++j)
            for (int32_t c = starts_[parents[j]]; c < starts_[parents[j] + 1]; ++c) s.order.push_back(c);
        const size_t given = s.order.size(), columns = size_t(starts_.back());
        for (int32_t c = starts_[y]; c < starts_[y + 1]; ++c) s.order.push_back(c);
        const size_t m = s.order.size();
        if (double(m) >= n_) return -std::numeric_limits<double>::infinity();
        s.left.assign(m * m, 0.0);
        double logdet = 0.0;
        for (size_t a = 0; a < m; ++a) {
            double *row = &s.left[a * m];
            const double *from = &r_[size_t(s.order[a]) * columns];
            double rest = from[s.order[a]];
            for (size_t t = 0; t < a; ++t) {
                const double *above = &s.left[t * m];
                double v = from[s.order[t]];
                for (size_t u = 0; u < t; ++u) v -= row[u] * above[u];
                row[t] = v / above[t];
                rest -= row[t] * row[t];
            }
            if (rest < COLLINEAR) {
                if (a < given) return -std::numeric_limits<double>::infinity();
                rest = COLLINEAR;
            }
            row[a] = std::sqrt(rest);
            if (a >= given) logdet += std::log(rest);
        }
        return -n_ / 2 * logdet - price_ * double(given) * double(m - given) + structure_ * k;
    }

  private:
    static constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error
    const std::vector<double> r_;
    const std::vector<int32_t> starts_;
    const double n_, price_, structure_;
};
