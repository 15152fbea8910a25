// Scores of jointly normal variables from one (d, d) matrix R (correlations, or the posterior matrix of BGe):
// score = level[k] - slope[k] * log(variance of y given its k parents) + weight * log det R[parents, parents].
#pragma once

#include <algorithm>

#include "score.hpp"

// Wider vectors where the processor has them; every element is computed alike, so the numbers are the same.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WHENCE_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WHENCE_WIDE
#endif

// row -= c * above
WHENCE_WIDE static void take(double *__restrict row, const double *__restrict above, double c, size_t d) {
    for (size_t z = 0; z < d; ++z) row[z] -= c * above[z];
}

// Scales the row of a new parent, and takes its share from every variance and from every covariance with y.
WHENCE_WIDE static void sweep(double *__restrict row, double scale, int y, double *__restrict left,
                              double *__restrict with, size_t d) {
    for (size_t z = 0; z < d; ++z) row[z] *= scale;
    const double c = row[y];
    for (size_t z = 0; z < d; ++z) {
        left[z] -= row[z] * row[z];
        with[z] -= c * row[z];
    }
}

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

    void additions(int y, const int32_t *parents, int k, double least, double *out, Scratch &s) const override {
        const size_t d = size;
        std::fill(out, out + d, NONE);
        if (k + 1 >= int(level_.size())) return;
        s.rows.resize(size_t(k) * d);
        s.left.resize(d);
        s.with.assign(r_.begin() + y * d, r_.begin() + (y + 1) * d);
        for (size_t z = 0; z < d; ++z) s.left[z] = r_[z * d + z];
        double logdet = 0.0;
        for (int m = 0; m < k; ++m) {
            double *row = &s.rows[m * d];
            std::copy(&r_[size_t(parents[m]) * d], &r_[size_t(parents[m]) * d] + d, row);
            for (int t = 0; t < m; ++t) take(row, &s.rows[t * d], s.rows[t * d + parents[m]], d);
            const double left = s.left[parents[m]];
            if (weight_ != 0.0) logdet += std::log(left);
            sweep(row, 1.0 / std::sqrt(left), y, s.left.data(), s.with.data(), d);
        }
        // Only a variance below `most` can reach `least`: the others need no logarithm.
        const double mine = s.left[y], top = level_[k + 1], slope = slope_[k + 1];
        const double most = weight_ == 0.0 && slope > 0.0 ? std::exp((top - least) / slope) * (1 + 1e-9)
                                                          : std::numeric_limits<double>::infinity();
        for (size_t z = 0; z < d; ++z) {
            if (s.left[z] < COLLINEAR * r_[z * d + z]) continue;
            const double rest = floor(mine - s.with[z] * s.with[z] / s.left[z], y);
            if (rest > most) continue;
            out[z] = top - slope * std::log(rest);
            if (weight_ != 0.0) out[z] += weight_ * (logdet + std::log(s.left[z]));
        }
        out[y] = NONE;
        for (int m = 0; m < k; ++m) out[parents[m]] = NONE;
    }

    // Dropping a variable with coefficient b from a regression raises the residual variance by b^2 / (inverse)_jj.
    void removals(int y, const int32_t *parents, int k, double *out, Scratch &s) const override {
        if (weight_ != 0.0 || k >= int(level_.size())) return Score::removals(y, parents, k, out, s);
        s.left.assign(size_t(k) * k, 0.0);
        s.rows.assign(size_t(k) * k, 0.0);  // the inverse of the factor, row by row
        s.with.assign(2 * size_t(k), 0.0);
        double rest = r_[size_t(y) * size + y];
        for (int m = 0; m < k; ++m) {
            double *row = &s.left[size_t(m) * k];
            const double *from = &r_[size_t(parents[m]) * size];
            double left = from[parents[m]], c = from[y];
            for (int t = 0; t < m; ++t) {
                const double *above = &s.left[size_t(t) * k];
                double v = from[parents[t]];
                for (int u = 0; u < t; ++u) v -= row[u] * above[u];
                row[t] = v / above[t];
                left -= row[t] * row[t];
                c -= row[t] * s.with[t];
            }
            if (left < COLLINEAR * from[parents[m]]) return Score::removals(y, parents, k, out, s);
            row[m] = std::sqrt(left);
            s.with[m] = c / row[m];
            rest -= s.with[m] * s.with[m];
            double *inverse = &s.rows[size_t(m) * k];
            inverse[m] = 1.0 / row[m];
            for (int u = 0; u < m; ++u) {
                double v = 0.0;
                for (int t = u; t < m; ++t) v -= row[t] * s.rows[size_t(t) * k + u];
                inverse[u] = v / row[m];
            }
        }
        for (int j = 0; j < k; ++j) {
            double b = 0.0, diagonal = 0.0;
            for (int m = j; m < k; ++m) {
                const double v = s.rows[size_t(m) * k + j];
                b += v * s.with[m];
                diagonal += v * v;
            }
            out[j] = level_[k - 1] - slope_[k - 1] * std::log(floor(rest + b * b / diagonal, y));
        }
    }

    // With a price that rises with each parent: the fit of all other variables.
    double top(int y, Scratch &s) const override {
        bool known = weight_ == 0.0 && size <= int(level_.size());
        for (size_t k = 1; k < level_.size(); ++k)
            known = known && level_[k] <= level_[k - 1] && slope_[k] == slope_[0];
        if (!known) return std::numeric_limits<double>::infinity();
        std::vector<int32_t> all;
        for (int z = 0; z < size; ++z)
            if (z != y) all.push_back(z);
        const double value = local(y, all.data(), size - 1, s);
        return value == NONE ? -NONE : value - level_[size - 1];
    }
    double ceiling(int, const int32_t *, int k, double top, Scratch &) const override {
        return top + (k < int(level_.size()) ? level_[k] : 0.0);
    }

  private:
    static constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error
    static constexpr double NONE = -std::numeric_limits<double>::infinity();
    double floor(double rest, int y) const { return std::max(rest, COLLINEAR * r_[size_t(y) * size + y]); }

    const std::vector<double> r_;
    const std::vector<double> level_, slope_;  // by number of parents; more parents than entries are not allowed
    const double weight_;
};
