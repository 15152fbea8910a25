// Sums over all DAGs of the product of their families' weights, and the weight of edges and paths in them.
//
// A_v(U): the weight of the families of v with parents within U. Z(S): of the DAGs on S. B(U): of the ways to add the
// other variables to U, whose members get no more parents. Both come from inclusion and exclusion over sinks or
// sources R, in which no term exceeds the sum: Z(S) and B(U) are exact to rounding.
//   Z(S) = sum over nonempty R within S of (-1)^(|R|+1) prod_{r in R} A_r(S \ R) Z(S \ R)
//   B(U) = sum over nonempty R outside U of (-1)^(|R|+1) prod_{r in R} A_r(U) B(U and R)
// The derivative of B(U) by A_v(U) weighs the ways in which every later source has v as parent, so that Z(U) A_v(U)
// times it is the weight of the DAGs in which U holds exactly the variables that do not descend from v.
//
// Tian, J. and He, R. (2009). Computing posterior probabilities of structural features in Bayesian networks.
// Uncertainty in Artificial Intelligence 25. Pensar, J., Talvitie, T., Hyttinen, A. and Koivisto, M. (2020). A Bayesian
// approach for estimating causal effects from observational data. AAAI 34:5395-5402.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>

#include "subsets.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

namespace {

struct Families {
    const int d;
    const double *m;
    const int32_t *e;
    size_t half() const { return size_t(1) << (d - 1); }
    size_t at(int v, Mask u) const { return size_t(v) * half() + packed(u, v); }
};

struct Room {  // what one thread needs
    std::vector<double> terms, weights;
    std::vector<int32_t> powers;
};

// powers[i] = the sum of `each` over the bits of i
void sums_of_bits(const int32_t *each, int k, int32_t start, int32_t *powers) {
    powers[0] = start;
    for (int t = 0; t < k; ++t)
        for (size_t i = 0, width = size_t(1) << t; i < width; ++i) powers[width + i] = powers[i] + each[t];
}

// What the families of the variables outside U say of U.
struct Outside {
    int count = 0, variable[MOST_VARIABLES];
    double m[MOST_VARIABLES], slope[MOST_VARIABLES];
    int32_t e[MOST_VARIABLES];
    Outside(const Families &f, Mask u) {
        for (int v = 0; v < f.d; ++v)
            if (!(u >> v & 1)) variable[count] = v, m[count] = f.m[f.at(v, u)], e[count++] = f.e[f.at(v, u)];
    }
};

// B(U) as bm 2^be from those of the larger sets; with `slopes` its derivatives by each A_v(U), in units of
// 2^(be - e_v).
void extend(Outside &out, Mask u, double *bm, int32_t *be, bool slopes, Room &room) {
    const int k = out.count;
    const size_t n = size_t(1) << k;
    int32_t top = ZERO;
    for (int t = 0; t < k; ++t) top = std::max(top, out.e[t] + be[u | Mask(1) << out.variable[t]]);
    be[u] = top;
    if (room.terms.size() < 2 * n) room.terms.resize(2 * n), room.weights.resize(n), room.powers.resize(n);
    double *terms = room.terms.data() + n, *weights = room.weights.data();
    sums_of_bits(out.e, k, -top, room.powers.data());
    Mask free = 0;
    for (int t = 0; t < k; ++t) free |= Mask(1) << out.variable[t];
    terms[0] = 0.0;
    Mask sub = 0;
    for (size_t i = 1; i < n; ++i) {
        sub = (sub - free) & free;
        terms[i] = bm[u | sub] * power(std::min(room.powers[i] + be[u | sub], 64));
    }
    // terms of level t lie at [2^t, 2^(t+1)): fold the last variable of the product in, one after the other.
    for (int t = k; t-- > 0;) {
        const size_t width = size_t(1) << t;
        const double *above = room.terms.data() + 2 * width, a = out.m[t];
        double *here = room.terms.data() + width;
        for (size_t i = 0; i < width; ++i) here[i] = above[i] - a * above[width + i];
    }
    bm[u] = -room.terms[1];
    if (!slopes) return;
    weights[0] = 1.0;
    for (int t = 0; t < k; ++t) {
        const size_t width = size_t(1) << t;
        const double *above = room.terms.data() + 2 * width, a = out.m[t];
        double sum[4] = {0.0, 0.0, 0.0, 0.0};
        for (size_t i = 0; i < width; ++i) {
            sum[i & 3] += weights[i] * above[width + i];
            weights[width + i] = -a * weights[i];
        }
        out.slope[t] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

int top_bits(int d) { return std::min(6, d / 2); }

// The patterns of the top bits with `size` of them set.
std::vector<Mask> patterns(int top, int size) {
    std::vector<Mask> out;
    for (Mask t = 0; t < Mask(1) << top; ++t)
        if (__builtin_popcount(t) == size) out.push_back(t);
    return out;
}

// Adds to Z of the sets with top bits `pattern` what all their subsets give; those with fewer top bits are done.
void grow(const Families &f, Mask pattern, int low, double *zm, const int32_t *ze, Room &room) {
    const Mask within = (Mask(1) << low) - 1;
    room.weights.resize(size_t(1) << low);
    room.powers.resize(size_t(1) << low);
    double *weights = room.weights.data();
    int32_t *powers = room.powers.data();
    for (Mask before = 0;; before = (before - pattern) & pattern) {
        for (Mask rest = 0; rest <= within; ++rest) {
            const Mask u = before << low | rest, base = pattern << low | rest, free = ~rest & within;
            if (zm[u] == 0.0) continue;
            double start = -zm[u];
            int32_t up = ze[u], each[MOST_VARIABLES];
            for (Mask left = (pattern ^ before) << low; left; left &= left - 1) {
                const size_t at = f.at(__builtin_ctz(left), u);
                start *= -f.m[at], up += f.e[at];
            }
            weights[0] = start;
            int k = 0;
            for (Mask left = free; left; left &= left - 1, ++k) {
                const size_t at = f.at(__builtin_ctz(left), u), width = size_t(1) << k;
                const double a = -f.m[at];
                each[k] = f.e[at];
                for (size_t i = 0; i < width; ++i) weights[width + i] = a * weights[i];
            }
            sums_of_bits(each, k, up, powers);
            Mask sub = 0;
            for (size_t i = 0, n = size_t(1) << k; i < n; ++i, sub = (sub - free) & free) {
                const Mask s = base | sub;
                if (s != u) zm[s] += weights[i] * power(std::min(powers[i] - ze[s], 64));
            }
        }
        if (before == pattern) return;
    }
}

struct Tables {  // of probabilities, of one block
    std::vector<double> edges, paths;
    explicit Tables(int d) : edges(size_t(d) * d, 0.0), paths(size_t(d) * d, 0.0) {}
};

// Shares the probability `weight` that U holds exactly what does not descend from v.
void record(const Families &f, int v, Mask u, double weight, Tables &tables) {
    const size_t at = f.at(v, u);
    for (int k = 0; k < f.d; ++k) {
        if (k == v) continue;
        if (!(u >> k & 1)) {
            tables.paths[size_t(v) * f.d + k] += weight;
            continue;
        }
        const size_t fewer = f.at(v, u & ~(Mask(1) << k));
        tables.edges[size_t(k) * f.d + v] += weight * (1.0 - f.m[fewer] / f.m[at] * power(f.e[fewer] - f.e[at]));
    }
}

// The families of a graph in which a and b are not in each other's Markov blanket: not adjacent, no common child.
void apart(const Families &f, int a, int b, std::vector<double> &m, std::vector<int32_t> &e) {
    const Mask ma = Mask(1) << a, mb = Mask(1) << b;
    for (int v = 0; v < f.d; ++v)
        for (Mask p = 0; p < f.half(); ++p) {
            const Mask u = unpacked(p, v);
            const size_t to = size_t(v) * f.half() + p;
            size_t at = to;
            if (v == a) at = f.at(v, u & ~mb);
            if (v == b) at = f.at(v, u & ~ma);
            m[to] = f.m[at], e[to] = f.e[at];
            if (v == a || v == b || !(u & ma) || !(u & mb)) continue;
            const size_t one = f.at(v, u & ~ma), two = f.at(v, u & ~mb), none = f.at(v, u & ~(ma | mb));
            m[to] = f.m[one], e[to] = f.e[one];
            add(m[to], e[to], f.m[two], f.e[two]);
            add(m[to], e[to], -f.m[none], f.e[none]);
        }
}

Families families(const In<double, 2> &m, const In<int32_t, 2> &e) {
    const int d = int(m.shape(0));
    if (d < 1 || d > MOST_VARIABLES || m.shape(1) != size_t(1) << (d - 1) || e.shape(0) != m.shape(0) ||
        e.shape(1) != m.shape(1))
        throw std::invalid_argument("families are (d, 2^(d-1)) for at most 22 variables");
    return Families{d, m.data(), e.data()};
}

}  // namespace

// zm[S] 2^ze[S] = Z(S) for every set S.
static void dag_sums(In<double, 2> m, In<int32_t, 2> e, int threads, Out<double, 1> zm, Out<int32_t, 1> ze) {
    const Families f = families(m, e);
    const size_t all = f.half() * 2;
    if (zm.shape(0) != all || ze.shape(0) != all) throw std::invalid_argument("there are 2^d sets");
    nb::gil_scoped_release release;
    std::fill(zm.data(), zm.data() + all, 0.0);
    zm.data()[0] = 1.0, ze.data()[0] = 0;
    for (Mask s = 1; s < all; ++s) {
        int32_t top = ZERO;
        for (Mask left = s; left; left &= left - 1) {
            const Mask rest = s & ~(left & -left);
            top = std::max(top, f.e[f.at(__builtin_ctz(left), rest)] + ze.data()[rest]);
        }
        ze.data()[s] = top;
    }
    const int top = top_bits(f.d), low = f.d - top;
    for (int size = 0; size <= top; ++size) {
        const auto blocks = patterns(top, size);
        share(blocks.size(), threads, [&](size_t i) {
            Room room;
            grow(f, blocks[i], low, zm.data(), ze.data(), room);
        });
    }
}

// B(U) for every set, and the probabilities edges[i, j] of i -> j and paths[i, j] of i -> ... -> j.
static void dag_features(In<double, 2> m, In<int32_t, 2> e, In<double, 1> zm, In<int32_t, 1> ze, int threads,
                         Out<double, 1> bm, Out<int32_t, 1> be, Out<double, 2> edges, Out<double, 2> paths) {
    const Families f = families(m, e);
    const size_t all = f.half() * 2, d = size_t(f.d);
    for (const size_t given : {zm.shape(0), ze.shape(0), bm.shape(0), be.shape(0)})
        if (given != all) throw std::invalid_argument("there are 2^d sets");
    for (const auto *table : {&edges, &paths})
        if (table->shape(0) != d || table->shape(1) != d) throw std::invalid_argument("tables are (d, d)");
    nb::gil_scoped_release release;
    const int top = top_bits(f.d), low = f.d - top;
    std::vector<Tables> tables(size_t(1) << top, Tables(f.d));
    bm.data()[all - 1] = 1.0, be.data()[all - 1] = 0;
    const double whole = zm.data()[all - 1];
    const int32_t up = ze.data()[all - 1];
    for (int size = top; size >= 0; --size) {
        const auto blocks = patterns(top, size);
        share(blocks.size(), threads, [&](size_t i) {
            Room room;
            for (Mask rest = Mask(1) << low; rest-- > 0;) {
                const Mask u = blocks[i] << low | rest;
                if (u == all - 1) continue;
                Outside out(f, u);
                extend(out, u, bm.data(), be.data(), true, room);
                const double share_of = zm.data()[u] / whole * power(std::min(ze.data()[u] + be.data()[u] - up, 512));
                for (int t = 0; t < out.count; ++t) {
                    const double weight = share_of * out.m[t] * out.slope[t];
                    if (std::fabs(weight) > 1e-24) record(f, out.variable[t], u, weight, tables[blocks[i]]);
                }
            }
        });
    }
    for (size_t i = 0; i < d * d; ++i) {
        double edge = 0.0, path = 0.0;
        for (const auto &table : tables) edge += table.edges[i], path += table.paths[i];
        edges.data()[i] = edge, paths.data()[i] = path;
    }
}

// blankets[a, b]: the probability that each is in the other's Markov blanket.
static void dag_blankets(In<double, 2> m, In<int32_t, 2> e, int threads, Out<double, 2> blankets) {
    const Families f = families(m, e);
    const size_t d = size_t(f.d), all = f.half() * 2;
    if (blankets.shape(0) != d || blankets.shape(1) != d) throw std::invalid_argument("tables are (d, d)");
    nb::gil_scoped_release release;
    std::vector<std::pair<int, int>> pairs{{0, 0}};  // the first stands for all graphs
    for (int a = 0; a < f.d; ++a)
        for (int b = a + 1; b < f.d; ++b) pairs.emplace_back(a, b);
    std::vector<double> mantissa(pairs.size());
    std::vector<int32_t> exponent(pairs.size());
    share(pairs.size(), threads, [&](size_t i) {
        Room room;
        std::vector<double> am(f.m, f.m + (i ? d * f.half() : 0)), bm(all, 1.0);
        std::vector<int32_t> ae(f.e, f.e + (i ? d * f.half() : 0)), be(all, 0);
        if (i) apart(f, pairs[i].first, pairs[i].second, am, ae);
        const Families mine{f.d, i ? am.data() : f.m, i ? ae.data() : f.e};
        for (Mask u = Mask(all - 1); u-- > 0;) {
            Outside out(mine, u);
            extend(out, u, bm.data(), be.data(), false, room);
        }
        mantissa[i] = bm[0], exponent[i] = be[0];
    });
    std::fill(blankets.data(), blankets.data() + d * d, 0.0);
    for (size_t i = 1; i < pairs.size(); ++i) {
        const size_t a = size_t(pairs[i].first), b = size_t(pairs[i].second);
        const double none = mantissa[i] / mantissa[0] * power(std::min(exponent[i] - exponent[0], 64));
        blankets.data()[a * d + b] = blankets.data()[b * d + a] = 1.0 - none;
    }
}

void bind_dag_sums(nb::module_ &m) {
    m.def("dag_sums", &dag_sums, nb::arg("m"), nb::arg("e"), nb::arg("threads"), nb::arg("zm"), nb::arg("ze"));
    m.def("dag_features", &dag_features, nb::arg("m"), nb::arg("e"), nb::arg("zm"), nb::arg("ze"),
          nb::arg("threads"), nb::arg("bm"), nb::arg("be"), nb::arg("edges"), nb::arg("paths"));
    m.def("dag_blankets", &dag_blankets, nb::arg("m"), nb::arg("e"), nb::arg("threads"), nb::arg("blankets"));
}
