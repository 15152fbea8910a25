// Fixed effects of any number of factors, taken out of columns.
//
// The levels of the factor with the most levels go out through their means; those of the others are solved for by
// conjugate gradients on what is left of the normal equations. Each step is one pass over the rows, as one of
// alternating projections (Guimaraes and Portugal 2010, Stata Journal 10), but with the best combination of all steps
// made so far. Where the levels' own weights as a preconditioner are not enough (workers who seldom change firms), an
// approximate Cholesky factor of each factor's graph takes their place.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <cmath>
#include <memory>
#include <numeric>

#include "laplacian.hpp"
#include "levels.hpp"
#include "pairs.hpp"
#include "subsets.hpp"

namespace {

constexpr int FIRST = 60;  // iterations before the preconditioner is made

template <int K> class Columns {
  public:
    Columns(const Problem &p, std::vector<Laplacian> &graphs, int threads)
        : p_(p), graphs_(graphs), threads_(p.n < SMALL ? 1 : threads) {}

    // Reads K columns of (n, width) values from column `at`, takes the effects out, writes them to out.
    std::pair<int, bool> absorb(const double *values, size_t width, size_t at, const std::vector<double> &diagonal,
                                double tolerance, int most, double *out) {
        rows_.resize(p_.n * K);
        share(p_.chunks(), threads_, [&](size_t c) {
            for (int64_t r = p_.start[p_.cut[c]]; r < p_.start[p_.cut[c + 1]]; ++r)
                for (int k = 0; k < K; ++k) rows_[size_t(r) * K + k] = values[size_t(p_.from[r]) * width + at + k];
        });
        centre();
        std::pair<int, bool> ended{0, true};
        if (p_.others) {
            std::vector<double> target(p_.levels * K), x(p_.levels * K, 0.0);
            gather(target, [&](size_t r, double *e) {
                for (int k = 0; k < K; ++k) e[k] = p_.w(r) * rows_[r * K + k];
            });
            ended = solve(target, diagonal, tolerance, most, x);
            share(p_.chunks(), threads_, [&](size_t c) {
                for (int64_t r = p_.start[p_.cut[c]]; r < p_.start[p_.cut[c + 1]]; ++r)
                    for (size_t f = 0; f < p_.others; ++f) {
                        const double *v = x.data() + size_t(p_.place[size_t(r) * p_.others + f]) * K;
                        for (int k = 0; k < K; ++k) rows_[size_t(r) * K + k] -= v[k];
                    }
            });
            centre();
        }
        share(p_.chunks(), threads_, [&](size_t c) {
            for (int64_t r = p_.start[p_.cut[c]]; r < p_.start[p_.cut[c + 1]]; ++r)
                for (int k = 0; k < K; ++k) out[size_t(p_.from[r]) * width + at + k] = rows_[size_t(r) * K + k];
        });
        return ended;
    }

  private:
    // rows_ less their groups' means
    void centre() {
        share(p_.chunks(), threads_, [&](size_t c) {
            for (size_t g = p_.cut[c]; g < p_.cut[c + 1]; ++g) {
                double mean[K] = {};
                for (int64_t r = p_.start[g]; r < p_.start[g + 1]; ++r)
                    for (int k = 0; k < K; ++k) mean[k] += p_.w(size_t(r)) * rows_[size_t(r) * K + k];
                for (int k = 0; k < K; ++k) mean[k] /= p_.size[g];
                for (int64_t r = p_.start[g]; r < p_.start[g + 1]; ++r)
                    for (int k = 0; k < K; ++k) rows_[size_t(r) * K + k] -= mean[k];
            }
        });
    }

    // Sums by level of what of(row, e) says of each row; each chunk has sums of its own, added in their order.
    template <class Of> void gather(std::vector<double> &sums, const Of &of) {
        chunk([&](size_t c, double *mine) {
            for (int64_t r = p_.start[p_.cut[c]]; r < p_.start[p_.cut[c + 1]]; ++r) {
                double e[K];
                of(size_t(r), e);
                for (size_t f = 0; f < p_.others; ++f) {
                    double *s = mine + size_t(p_.place[size_t(r) * p_.others + f]) * K;
                    for (int k = 0; k < K; ++k) s[k] += e[k];
                }
            }
        }, sums);
    }

    template <class Work> void chunk(const Work &work, std::vector<double> &sums) {
        const size_t size = p_.levels * K;
        parts_.resize(p_.chunks() * size);
        share(p_.chunks(), threads_, [&](size_t c) {
            std::fill_n(parts_.data() + c * size, size, 0.0);
            work(c, parts_.data() + c * size);
        });
        std::copy_n(parts_.data(), size, sums.data());
        for (size_t c = 1; c < p_.chunks(); ++c)
            for (size_t j = 0; j < size; ++j) sums[j] += parts_[c * size + j];
    }

    // q = (normal equations without the largest factor) v
    void times(const std::vector<double> &v, std::vector<double> &q) {
        p_.others == 1 ? times_<true>(v, q) : times_<false>(v, q);
    }
    template <bool ONE> void times_(const std::vector<double> &v, std::vector<double> &q) {
        const size_t others = ONE ? 1 : p_.others;
        chunk([&](size_t c, double *mine) {
            for (size_t g = p_.cut[c]; g < p_.cut[c + 1]; ++g) {
                const auto from = size_t(p_.start[g]), to = size_t(p_.start[g + 1]);
                if (to - from < 2) continue;
                double mean[K] = {};
                for (size_t r = from; r < to; ++r)
                    for (size_t f = 0; f < others; ++f)
                        for (int k = 0; k < K; ++k) mean[k] += p_.w(r) * v[size_t(p_.place[r * others + f]) * K + k];
                for (int k = 0; k < K; ++k) mean[k] /= p_.size[g];
                for (size_t r = from; r < to; ++r) {
                    double e[K];
                    for (int k = 0; k < K; ++k) e[k] = -mean[k];
                    for (size_t f = 0; f < others; ++f)
                        for (int k = 0; k < K; ++k) e[k] += v[size_t(p_.place[r * others + f]) * K + k];
                    for (size_t f = 0; f < others; ++f)
                        for (int k = 0; k < K; ++k) mine[size_t(p_.place[r * others + f]) * K + k] += p_.w(r) * e[k];
                }
            }
        }, q);
    }

    void dots(const std::vector<double> &a, const std::vector<double> &b, double *out) const {
        std::fill_n(out, K, 0.0);
        for (size_t j = 0; j < p_.levels; ++j)
            for (int k = 0; k < K; ++k) out[k] += a[j * K + k] * b[j * K + k];
    }

    void precondition(const std::vector<double> &r, const std::vector<double> &diagonal, std::vector<double> &s) const {
        s = r;
        if (!graphs_.empty()) {
            for (size_t f = 0; f < p_.others; ++f) graphs_[f].template solve<K>(s.data() + p_.first[f] * K);
            return;
        }
        for (size_t j = 0; j < p_.levels; ++j)
            for (int k = 0; k < K; ++k) s[j * K + k] = diagonal[j] > 0 ? s[j * K + k] / diagonal[j] : 0.0;
    }

    void make_graphs() {
        std::vector<std::pair<double, int32_t>> star;
        for (size_t f = 0; f < p_.others; ++f) {
            const size_t levels = p_.first[f + 1] - p_.first[f];
            graphs_.emplace_back(levels);
            std::vector<double> sum(levels, 0.0);
            for (size_t g = 0; g < p_.groups; ++g) {
                star_of(p_, f, g, sum, star);
                graphs_.back().eliminate(star);
            }
            graphs_.back().factor();
        }
    }

    // Conjugate gradients for all columns at once, each with its own steps.
    std::pair<int, bool> solve(std::vector<double> &r, const std::vector<double> &diagonal, double tolerance, int most,
                               std::vector<double> &x) {
        const size_t size = p_.levels * K;
        std::vector<double> s(size), q(size), d;
        double old[K], end[K], now[K], along[K];
        precondition(r, diagonal, s);
        d = s;
        dots(r, s, old);
        for (int k = 0; k < K; ++k) end[k] = tolerance * tolerance * old[k];
        for (int step = 0; step < most; ++step) {
            bool open = false;
            for (int k = 0; k < K; ++k) open |= old[k] > end[k];
            if (!open) return {step, true};
            if (step == FIRST && graphs_.empty()) {
                make_graphs();
                precondition(r, diagonal, s);
                d = s;
                double before[K];
                std::copy_n(old, K, before);
                dots(r, s, old);
                for (int k = 0; k < K; ++k) end[k] *= before[k] > 0 ? old[k] / before[k] : 0.0;
            }
            times(d, q);
            dots(d, q, along);
            for (int k = 0; k < K; ++k) along[k] = old[k] > end[k] && along[k] > 0 ? old[k] / along[k] : 0.0;
            for (size_t j = 0; j < p_.levels; ++j)
                for (int k = 0; k < K; ++k) {
                    x[j * K + k] += along[k] * d[j * K + k];
                    r[j * K + k] -= along[k] * q[j * K + k];
                }
            precondition(r, diagonal, s);
            dots(r, s, now);
            for (int k = 0; k < K; ++k) {
                const double turn = old[k] > end[k] && old[k] > 0 ? now[k] / old[k] : 0.0;
                if (old[k] > end[k]) old[k] = now[k];
                along[k] = turn;
            }
            for (size_t j = 0; j < p_.levels; ++j)
                for (int k = 0; k < K; ++k) d[j * K + k] = s[j * K + k] + along[k] * d[j * K + k];
        }
        return {most, false};
    }

    const Problem &p_;
    std::vector<Laplacian> &graphs_;  // of the other factors, once they are needed; they serve all columns
    int threads_;
    std::vector<double> rows_, parts_;
};

// columns: (n, k). codes: (factors, n), the factor with the most levels first, each below counts[f]. weights: (n,),
// positive, or (0,). out: (n, k), what the factors leave. Returns the iterations of the slowest column, and whether all
// came to the tolerance.
std::pair<int, bool> absorb(In<double, 2> columns, In<int32_t, 2> codes, In<int64_t, 1> counts, In<double, 1> weights,
                            double tolerance, int most, int threads, Out<double, 2> out) {
    const size_t n = columns.shape(0), width = columns.shape(1), factors = codes.shape(0);
    check(factors >= 1 && codes.shape(1) == n && counts.shape(0) == factors, "codes must be (factors, n)");
    check(weights.shape(0) == n || weights.shape(0) == 0, "weights must be (n,) or (0,)");
    check(out.shape(0) == n && out.shape(1) == width, "wrong output shape");
    int64_t total = 0;
    for (size_t f = 0; f < factors; ++f) {
        total += counts.data()[f];
        for (size_t i = 0; i < n; ++i)
            check(codes.data()[f * n + i] >= 0 && codes.data()[f * n + i] < counts.data()[f], "a code is out of range");
    }
    check(total < (int64_t(1) << 31), "too many levels");
    nb::gil_scoped_release release;
    const Problem p = sorted(codes, counts, weights);
    const std::vector<double> own = diagonal(p);
    std::vector<Laplacian> graphs;
    std::pair<int, bool> ended{0, true};
    const auto take = [&](auto block, size_t at) {
        constexpr int K = decltype(block)::value;
        const auto one = Columns<K>(p, graphs, threads).absorb(columns.data(), width, at, own, tolerance, most, out.data());
        ended = {std::max(ended.first, one.first), ended.second && one.second};
    };
    for (size_t at = 0; at < width;) {
        const size_t left = width - at;
        if (left >= 4) take(std::integral_constant<int, 4>(), at), at += 4;
        else if (left >= 2) take(std::integral_constant<int, 2>(), at), at += 2;
        else take(std::integral_constant<int, 1>(), at), at += 1;
    }
    return ended;
}

// How many parts the graph of two factors has whose levels are joined where they share a row.
int64_t joined_parts(In<int32_t, 1> a, In<int32_t, 1> b, int64_t levels_a, int64_t levels_b) {
    const size_t n = a.shape(0);
    check(b.shape(0) == n, "one code of each factor for every row");
    for (size_t i = 0; i < n; ++i)
        check(a.data()[i] >= 0 && a.data()[i] < levels_a && b.data()[i] >= 0 && b.data()[i] < levels_b,
              "a code is out of range");
    std::vector<int64_t> up(size_t(levels_a + levels_b));
    std::iota(up.begin(), up.end(), int64_t(0));
    const auto root = [&](int64_t v) {
        while (up[size_t(v)] != v) v = up[size_t(v)] = up[size_t(up[size_t(v)])];
        return v;
    };
    int64_t parts = levels_a + levels_b;
    for (size_t i = 0; i < n; ++i) {
        const int64_t x = root(a.data()[i]), y = root(levels_a + b.data()[i]);
        if (x != y) up[size_t(std::max(x, y))] = std::min(x, y), --parts;
    }
    return parts;
}

}  // namespace

void bind_fixed_effects(nb::module_ &m) {
    m.def("absorb", &absorb, nb::arg("columns"), nb::arg("codes"), nb::arg("counts"), nb::arg("weights"),
          nb::arg("tolerance"), nb::arg("most"), nb::arg("threads"), nb::arg("out"));
    m.def("joined_parts", &joined_parts, nb::arg("a"), nb::arg("b"), nb::arg("levels_a"), nb::arg("levels_b"));
}
