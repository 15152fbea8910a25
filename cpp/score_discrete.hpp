// Scores of variables with levels, from counts.
//
// BDeu: Heckerman, D., Geiger, D. and Chickering, D. M. (1995). Machine Learning 20:197-243, equation 28 with the
// uniform prior. BIC: the multinomial likelihood less half a penalty times log n for each free parameter. qNML:
// Silander, T., Leppa-aho, J., Jaasaari, E. and Roos, T. (2018). Quotient normalized maximum likelihood criterion for
// learning Bayesian network structures. AISTATS, PMLR 84:948-957, equation 8.
#pragma once

#include <algorithm>

#include "bit_counts.hpp"
#include "score.hpp"

class DiscreteScore final : public Score {
  public:
    enum Kind { BDEU = 0, BIC = 1, QNML = 2 };

    // codes: one row of n values in [0, cards[v]) per variable. strength: the equivalent sample size of BDeu, or
    // the penalty of BIC. structure: what each parent costs beside, as a log prior. copies: the first `whole` rows
    // count once, each of the others counts 1 / copies. worth: as how many rows all of these together count, if above
    // zero. regret: for qNML, by number of values, its logarithm.
    DiscreteScore(std::vector<uint8_t> codes, std::vector<int32_t> cards, int n, Kind kind, double strength,
                  double structure, int whole, int copies, double worth, std::vector<double> regret)
        : Score(int(cards.size())), codes_(std::move(codes)), cards_(std::move(cards)), n_(n), kind_(kind),
          strength_(strength), structure_(structure), whole_(whole), copies_(copies),
          rows_(worth > 0.0 ? worth : whole + double(n - whole) / copies),
          unit_(rows_ / (double(whole) * copies + (n - whole))), regret_(std::move(regret)), bits_(codes_, cards_, n) {}

    double local(int y, const int32_t *parents, int k, Scratch &s) const override {
        const int32_t groups = configurations(y, parents, k, s);
        s.cells.assign(size_t(groups) * cards_[y], 0);
        tally(0, whole_, copies_, s.cells, s);
        tally(whole_, n_, 1, s.cells, s);
        return value(s.cells.data(), groups, combinations(parents, k), cards_[y], k);
    }

    // Cells with many rows are counted as bit sets. The other rows are counted four candidates in one pass: rows that
    // fall in the same cell one after the other would wait for each other's count, and four tables give the processor
    // something else to do.
    void additions(int y, const int32_t *parents, int k, double, double *out, Scratch &s) const override {
        const int32_t groups = configurations(y, parents, k, s), r = cards_[y], width = groups * r;
        const double known = combinations(parents, k);
        s.order.clear();
        for (int z = 0; z < size; ++z) {
            out[z] = -std::numeric_limits<double>::infinity();
            if (z != y && std::find(parents, parents + k, z) == parents + k) s.order.push_back(z);
        }
        divide(width, s);
        for (size_t from = 0; from < s.order.size(); from += 4) {
            const uint8_t *x[4];
            size_t starts[5] = {0};
            for (size_t t = 0; t < 4; ++t) {
                const int32_t z = s.order[std::min(from + t, s.order.size() - 1)];
                x[t] = &codes_[size_t(z) * n_];
                starts[t + 1] = starts[t] + size_t(cards_[z]) * width;
            }
            s.cells.assign(starts[4], 0);
            int32_t *c0 = s.cells.data(), *c1 = c0 + starts[1], *c2 = c0 + starts[2], *c3 = c0 + starts[3];
            const int32_t *config = s.config.data();
            for (int32_t i : s.rare) {
                const int32_t cell = config[i], each = i < whole_ ? copies_ : 1;
                c0[x[0][i] * width + cell] += each, c1[x[1][i] * width + cell] += each;
                c2[x[2][i] * width + cell] += each, c3[x[3][i] * width + cell] += each;
            }
            for (size_t t = 0; t < 4 && from + t < s.order.size(); ++t) {
                const int32_t z = s.order[from + t];
                count_full(z, width, s.cells.data() + starts[t], s);
                out[z] = value(s.cells.data() + starts[t], groups * cards_[z], known * cards_[z], r, k + 1);
            }
        }
    }

    double top(int y, Scratch &s) const override {
        if (kind_ == QNML || structure_ > 0.0) return std::numeric_limits<double>::infinity();
        if (kind_ == BDEU) return 0.0;
        std::vector<int32_t> all;
        for (int z = 0; z < size; ++z)
            if (z != y) all.push_back(z);
        const int k = int(all.size());
        const double price = strength_ / 2 * std::log(rows_) * (cards_[y] - 1);
        // Parents that fit perfectly, where their combinations are too many for the price to be a number.
        const double q = combinations(all.data(), k);
        return q > 1e6 ? 0.0 : local(y, all.data(), k, s) + price * q - structure_ * k;
    }

    // BIC: more parents cost more. BDeu: the first row of each combination of parent values has probability 1 / r, and
    // more parents have at least as many combinations.
    double ceiling(int y, const int32_t *parents, int k, double top, Scratch &s) const override {
        const double start = top + structure_ * k;
        if (kind_ == QNML || structure_ > 0.0) return top;
        if (kind_ == BIC) return start - strength_ / 2 * std::log(rows_) * (cards_[y] - 1) * combinations(parents, k);
        return unit_ < 1.0 ? start : start - configurations(y, parents, k, s) * std::log(double(cards_[y]));
    }

  private:
    double combinations(const int32_t *parents, int k) const {
        double q = 1.0;
        for (int j = 0; j < k; ++j) q *= cards_[parents[j]];
        return q;
    }

    // s.full: the cells of s.config whose rows are counted faster as a bit set, each with its rows (s.bits) and their
    // count (s.totals); s.rare: the rows of all others.
    void divide(int32_t width, Scratch &s) const {
        s.totals.assign(width, 0);
        tally(0, n_, 1, s.totals, s);
        // A row costs an addition for each candidate, a bit set a little less than half of that for each word and level.
        const double enough = 0.4 * double(bits_.levels() * bits_.words()) / double(size);
        s.full.clear();
        for (int32_t c = 0; c < width; ++c)
            if (s.totals[c] >= enough) s.full.push_back(c);
        // Rare rows go to a bit set of their own that nobody reads: a branch that cannot be foreseen costs more.
        const int32_t rare = int32_t(s.full.size());
        std::vector<int32_t> place(width, rare);
        for (int32_t f = 0; f < rare; ++f) place[s.full[f]] = f;
        s.bits.assign((s.full.size() + 1) * bits_.words(), 0);
        s.rare.resize(n_);
        size_t m = 0;
        for (int i = 0; i < n_; ++i) {
            const int32_t at = place[s.config[i]];
            s.rare[m] = i;
            m += at == rare;
            s.bits[at * bits_.words() + (i >> 6)] |= uint64_t(1) << (i & 63);
        }
        s.rare.resize(m);
        if (copies_ > 1) tally(0, whole_, copies_ - 1, s.totals, s);
    }

    // Adds `each` to the cell of every row from .. to - 1. Four tables, since rows of the same cell one after the other
    // would wait for each other.
    void tally(int from, int to, int32_t each, std::vector<int32_t> &cells, Scratch &s) const {
        const size_t width = cells.size();
        int i = from;
        if (width * 8 < size_t(to - from)) {
            s.tables.assign(3 * width, 0);
            int32_t *c0 = cells.data(), *c1 = s.tables.data(), *c2 = c1 + width, *c3 = c2 + width;
            const int32_t *config = s.config.data();
            for (; i + 3 < to; i += 4)
                c0[config[i]] += each, c1[config[i + 1]] += each, c2[config[i + 2]] += each, c3[config[i + 3]] += each;
            for (size_t c = 0; c < width; ++c) c0[c] += c1[c] + c2[c] + c3[c];
        }
        for (; i < to; ++i) cells[s.config[i]] += each;
    }

    // Adds the rows of s.full to the counts (levels of z, width) of a candidate z.
    void count_full(int z, int32_t width, int32_t *counts, const Scratch &s) const {
        for (size_t f = 0; f < s.full.size(); ++f) {
            const int32_t cell = s.full[f];
            int32_t rest = s.totals[cell];
            for (int32_t v = 1; v < cards_[z]; ++v) {
                const uint64_t *own = &s.bits[f * bits_.words()], *level = bits_.of(z, v);
                int32_t both = shared(own, level, bits_.words());
                if (copies_ > 1) both += (copies_ - 1) * shared_before(own, level, size_t(whole_));
                counts[size_t(v) * width + cell] += both;
                rest -= both;
            }
            counts[cell] += rest;
        }
    }

    // s.config[i]: row i's cell, the number of its combination of parent values among those that occur times the
    // levels of y, plus its value of y.
    int32_t configurations(int y, const int32_t *parents, int k, Scratch &s) const {
        s.config.assign(n_, 0);
        int32_t groups = 1;
        for (int j = 0; j < k; ++j) {
            const uint8_t *x = &codes_[size_t(parents[j]) * n_];
            const int32_t card = cards_[parents[j]];
            s.totals.assign(size_t(groups) * card, -1);
            groups = 0;
            for (int i = 0; i < n_; ++i) {
                int32_t &code = s.totals[s.config[i] * card + x[i]];
                if (code < 0) code = groups++;
                s.config[i] = code;
            }
        }
        const uint8_t *own = &codes_[size_t(y) * n_];
        for (int i = 0; i < n_; ++i) s.config[i] = s.config[i] * cards_[y] + own[i];
        return groups;
    }

    // The score from the counts (groups, r) of y by combination of its k parents, each of unit_ rows; q: how many
    // combinations there could be.
    double value(const int32_t *cells, int32_t groups, double q, int32_t r, int k) const {
        double sum = structure_ * k;
        const double each = strength_ / (q * r), group = strength_ / q;
        const double each0 = kind_ == BDEU ? loggamma(each) : 0.0, group0 = kind_ == BDEU ? loggamma(group) : 0.0;
        for (int32_t g = 0; g < groups; ++g, cells += r) {
            int32_t all = 0;
            for (int32_t v = 0; v < r; ++v) {
                if (!cells[v]) continue;
                all += cells[v];
                const double c = cells[v] * unit_;
                sum += kind_ == BDEU ? loggamma(c + each) - each0 : c * std::log(c);
            }
            const double total = all * unit_;
            if (all) sum -= kind_ == BDEU ? loggamma(total + group) - group0 : total * std::log(total);
        }
        if (kind_ == BDEU) return sum;
        if (kind_ == QNML) return sum - (regret(q * r) - regret(q));
        return sum - strength_ / 2 * std::log(rows_) * (r - 1) * q;
    }

    // The logarithm of the normaliser of a variable with this many values: from the table, and above it by the formula
    // of Szpankowski, W. and Weinberger, M. J. (2012). IEEE Transactions on Information Theory 58:4094-4104.
    double regret(double values) const {
        if (values < double(regret_.size())) return regret_[size_t(values)];
        const double a = values / rows_, above = 2.0 / a / (1.0 + std::sqrt(1.0 + 4.0 / a)), c = 1.0 + above;
        return rows_ * (std::log(a) + (a + 2.0) * std::log1p(above) - 1.0 / c) - std::log(c + 2.0 / a) / 2;
    }

    // Stirling's series after shifting the argument above 8: accurate to 1e-13, and without the global of lgamma.
    static double loggamma(double x) {
        double shift = 1.0;
        while (x < 8.0) shift *= x, x += 1.0;
        const double t = 1.0 / (x * x);
        return (x - 0.5) * std::log(x) - x + 0.91893853320467274178 - std::log(shift) +
               (1.0 / 12 - t * (1.0 / 360 - t * (1.0 / 1260 - t * (1.0 / 1680 - t * (1.0 / 1188 - t * 691.0 / 360360))))) / x;
    }

    const std::vector<uint8_t> codes_;
    const std::vector<int32_t> cards_;
    const int n_;
    const Kind kind_;
    const double strength_, structure_;
    const int whole_, copies_;
    const double rows_, unit_;  // as how many rows all count, and one count
    const std::vector<double> regret_;
    const LevelBits bits_;
};
