// The score of variables with levels and numbers together: within every cell, a combination of levels, the numbers are
// jointly normal with means and covariances of their own.
//
// Andrews, B., Ramsey, J. and Cooper, G. F. (2018). Scoring Bayesian networks of mixed variables. International Journal
// of Data Science and Analytics 6:3-18, section 3 (conditional Gaussian score).
#pragma once

#include <algorithm>

#include "score.hpp"

class CellsScore final : public Score {
  public:
    // codes, values: one row of n per variable; that of codes is read where cards[v] > 0, else that of values, which
    // has mean zero and variance one. price: of each parameter; structure: what each parent costs, as a log prior.
    CellsScore(std::vector<uint8_t> codes, std::vector<int32_t> cards, std::vector<double> values, int n, double price,
               double structure)
        : Score(int(cards.size())), codes_(std::move(codes)), cards_(std::move(cards)), values_(std::move(values)),
          n_(n), price_(price), structure_(structure) {}

    double local(int y, const int32_t *parents, int k, Scratch &s) const override {
        s.order.assign(parents, parents + k);
        std::sort(s.order.begin(), s.order.end());
        const double given = joint(s, true);
        if (given == NONE) return NONE;
        s.order.push_back(y);
        std::sort(s.order.begin(), s.order.end());
        return joint(s, false) - given + structure_ * k;
    }

  private:
    static constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error
    static constexpr double NONE = -std::numeric_limits<double>::infinity();

    // The maximal log-likelihood of the variables in s.order, ascending, less the price of its parameters. A cell with
    // too few rows for a covariance matrix, or in which the numbers determine each other, takes the one pooled over
    // cells. strict: minus infinity when numbers determine each other there too.
    double joint(Scratch &s, bool strict) const {
        double cells = 1.0;
        const int32_t groups = configurations(s, cells);
        int c = 0;
        for (int32_t v : s.order) c += cards_[v] == 0;
        const double parameters = cells * (c + c * (c + 1) / 2) + cells - 1;
        s.totals.assign(groups, 0);
        for (int i = 0; i < n_; ++i) ++s.totals[s.config[i]];
        double sum = -price_ * parameters;
        for (int32_t m : s.totals) sum += m * std::log(double(m) / n_);
        return c ? sum + normal(s, groups, c, strict) : sum;
    }

    double normal(Scratch &s, int32_t groups, int c, bool strict) const {
        moments(s, groups, c);
        const size_t square = size_t(c) * c;
        s.with.assign(square, 0.0);  // the pooled covariance, then its factor
        for (int32_t g = 0; g < groups; ++g)
            for (size_t t = 0; t < square; ++t) s.with[t] += s.left[g * square + t] / n_;
        std::vector<double> factor(square), pooled(square);
        const int lost = decompose(s.with.data(), c, pooled.data());
        if (lost && strict) return NONE;
        double sum = -0.5 * n_ * c * LOG_TWO_PI;
        for (int32_t g = 0; g < groups; ++g) {
            double *own = &s.left[g * square];
            const double m = s.totals[g];
            if (m > c + 1) {
                for (size_t t = 0; t < square; ++t) own[t] /= m;
                if (!decompose(own, c, factor.data())) {
                    sum -= m / 2 * (logdet(factor.data(), c) + c);
                    continue;
                }
                for (size_t t = 0; t < square; ++t) own[t] *= m;
            }
            sum -= (m * logdet(pooled.data(), c) + trace(pooled.data(), own, c)) / 2;
        }
        return sum;
    }

    // s.left: (groups, c, c) sums of products of the numbers about the means of their cell.
    void moments(Scratch &s, int32_t groups, int c) const {
        s.rows.assign(size_t(groups) * c, 0.0);
        s.left.assign(size_t(groups) * c * c, 0.0);
        std::vector<const double *> x;
        for (int32_t v : s.order)
            if (cards_[v] == 0) x.push_back(&values_[size_t(v) * n_]);
        for (int j = 0; j < c; ++j)
            for (int i = 0; i < n_; ++i) s.rows[size_t(s.config[i]) * c + j] += x[j][i];
        for (int32_t g = 0; g < groups; ++g)
            for (int j = 0; j < c; ++j) s.rows[size_t(g) * c + j] /= s.totals[g];
        std::vector<double> away(c);
        for (int i = 0; i < n_; ++i) {
            const size_t g = s.config[i];
            for (int j = 0; j < c; ++j) {
                away[j] = x[j][i] - s.rows[g * c + j];
                for (int t = 0; t <= j; ++t) s.left[(g * c + j) * c + t] += away[j] * away[t];
            }
        }
    }

    // The Cholesky factor of a lower triangle; how many variables the ones before them determine.
    static int decompose(const double *from, int c, double *to) {
        int lost = 0;
        for (int j = 0; j < c; ++j)
            for (int t = 0; t <= j; ++t) {
                double v = from[j * c + t];
                for (int u = 0; u < t; ++u) v -= to[j * c + u] * to[t * c + u];
                if (t < j) {
                    to[j * c + t] = v / to[t * c + t];
                } else {
                    const double least = COLLINEAR * std::max(from[j * c + j], COLLINEAR);
                    lost += v < least;
                    to[j * c + j] = std::sqrt(std::max(v, least));
                }
            }
        return lost;
    }

    static double logdet(const double *factor, int c) {
        double sum = 0.0;
        for (int j = 0; j < c; ++j) sum += 2 * std::log(factor[j * c + j]);
        return sum;
    }

    // The trace of (L L')^-1 S, S a lower triangle: column by column of L^-1 S, then of its transpose.
    static double trace(const double *factor, const double *s, int c) {
        std::vector<double> half(size_t(c) * c);
        for (int t = 0; t < c; ++t)
            for (int j = 0; j < c; ++j) {
                double v = j >= t ? s[j * c + t] : s[t * c + j];
                for (int u = 0; u < j; ++u) v -= factor[j * c + u] * half[u * c + t];
                half[j * c + t] = v / factor[j * c + j];
            }
        double sum = 0.0;
        std::vector<double> row(c);
        for (int t = 0; t < c; ++t) {  // (L^-1 S L^-T)_tt
            for (int j = 0; j <= t; ++j) {
                double v = half[t * c + j];
                for (int u = 0; u < j; ++u) v -= factor[j * c + u] * row[u];
                row[j] = v / factor[j * c + j];
            }
            sum += row[t];
        }
        return sum;
    }

    // s.config[i]: the number of row i's combination of levels among those that occur. cells: how many there could be.
    int32_t configurations(Scratch &s, double &cells) const {
        s.config.assign(n_, 0);
        int32_t groups = 1;
        for (int32_t v : s.order) {
            const int32_t card = cards_[v];
            if (!card) continue;
            cells *= card;
            const uint8_t *x = &codes_[size_t(v) * n_];
            s.cells.assign(size_t(groups) * card, -1);
            groups = 0;
            for (int i = 0; i < n_; ++i) {
                int32_t &code = s.cells[s.config[i] * card + x[i]];
                if (code < 0) code = groups++;
                s.config[i] = code;
            }
        }
        return groups;
    }

    static constexpr double LOG_TWO_PI = 1.8378770664093454836;
    const std::vector<uint8_t> codes_;
    const std::vector<int32_t> cards_;
    const std::vector<double> values_;
    const int n_;
    const double price_, structure_;
};
