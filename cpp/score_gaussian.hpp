// Scores of jointly normal variables from one (d, d) matrix R (correlations, or the posterior matrix of BGe):
// score = level[k] - slope[k] * log(variance of y given its k parents) + weight * log det R[parents, parents].
#pragma once

#include "score.hpp"

class GaussianScore final : public Score {
  public:
    GaussianScore(std::vector<double> r, int d, std::vector<double> level, std::vector<double> slope, double weight)
        : Score(d), r_(std::move(r)), level_(std::move(level)), slope_(std::move(slope)), weight_(weight) {}

    double local(int y, const int32_t *parents, int k, Scratch &s) const override {
        if (k >= int(level_.size())) return NONE;
        // A Cholesky factor of the parents with y as last row.
        s.left.assign(size_t(k + 1) * (k + 1), 0.0);
        double logdet = 0.0;
        for (int m = 0; m <= k; ++m) {
            const int32_t v = m < k ? parents[m] : y;
            double *row = &s.left[size_t(m) * (k + 1)];
            const double *from = &r_[size_t(v) * size];
            double rest = from[v];
            for (int t = 0; t < m; ++t) {
                const double *above = &s.left[size_t(t) * (k + 1)];
                double c = from[parents[t]];
                for (int u = 0; u < t; ++u) c -= row[u] * above[u];
                row[t] = c / above[t];
                rest -= row[t] * row[t];
            }
            if (m == k) return level_[k] - slope_[k] * std::log(floor(rest, y)) + weight_ * logdet;
            if (rest < COLLINEAR * from[v]) return NONE;
            logdet += std::log(rest);
            row[m] = std::sqrt(rest);
        }
        return NONE;
    }

    void additions(int y, const int32_t *parents, int k, double *out, Scratch &s) const override {
        const size_t d = size;
        if (k + 1 >= int(level_.size())) {
            for (size_t z = 0; z < d; ++z) out[z] = NONE;
            return;
        }
        s.rows.resize(size_t(k) * d);
        s.left.resize(d);
        s.with.assign(r_.begin() + y * d, r_.begin() + (y + 1) * d);
        for (size_t z = 0; z < d; ++z) s.left[z] = r_[z * d + z];
        double logdet = 0.0;
        for (int m = 0; m < k; ++m) {
            double *row = &s.rows[m * d];
            const double *from = &r_[size_t(parents[m]) * d];
            for (size_t z = 0; z < d; ++z) row[z] = from[z];
            for (int t = 0; t < m; ++t) {
                const double *above = &s.rows[t * d];
                const double c = above[parents[m]];
                for (size_t z = 0; z < d; ++z) row[z] -= c * above[z];
            }
            logdet += std::log(s.left[parents[m]]);
            const double scale = 1.0 / std::sqrt(s.left[parents[m]]);
            double *left = s.left.data(), *with = s.with.data();
            for (size_t z = 0; z < d; ++z) row[z] *= scale;
            const double c = row[y];
            for (size_t z = 0; z < d; ++z) {
                left[z] -= row[z] * row[z];
                with[z] -= c * row[z];
            }
        }
        const double mine = s.left[y];
        for (size_t z = 0; z < d; ++z) {
            if (s.left[z] < COLLINEAR * r_[z * d + z]) { out[z] = NONE; continue; }
            const double rest = mine - s.with[z] * s.with[z] / s.left[z];
            out[z] = level_[k + 1] - slope_[k + 1] * std::log(floor(rest, y));
            if (weight_ != 0.0) out[z] += weight_ * (logdet + std::log(s.left[z]));
        }
        out[y] = NONE;
        for (int m = 0; m < k; ++m) out[parents[m]] = NONE;
    }

  private:
    static constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error
    static constexpr double NONE = -std::numeric_limits<double>::infinity();
    double floor(double rest, int y) const { return std::max(rest, COLLINEAR * r_[size_t(y) * size + y]); }

    const std::vector<double> r_;
    const std::vector<double> level_, slope_;  // by number of parents; more parents than entries are not allowed
    const double weight_;
};
