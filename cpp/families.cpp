// The scores of all families (a variable and a set of parents), the best graph, and sums over parent sets.
//
// Silander, T. and Myllymaki, P. (2006). A simple approach for finding the globally optimal Bayesian network
// structure. Uncertainty in Artificial Intelligence 22, algorithm 1.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "score.hpp"
#include "subsets.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

static const double NONE = -std::numeric_limits<double>::infinity();

static int size_of(size_t rows, size_t columns) {
    if (rows < 1 || rows > MOST_VARIABLES || columns != size_t(1) << (rows - 1))
        throw std::invalid_argument("families are (d, 2^(d-1)) for at most 22 variables");
    return int(rows);
}

// out[y, packed set] = local score; minus infinity for sets of more than `most`, with a member that may not be a
// parent (may[y, z] = 0) or without one that must be (required[y, z] = 1).
static void family_scores(const Score &score, In<uint8_t, 2> may, In<uint8_t, 2> required, int most, int threads,
                          Out<double, 2> out) {
    const int d = size_of(out.shape(0), out.shape(1));
    for (const auto *square : {&may, &required})
        if (score.size != d || int(square->shape(0)) != d || int(square->shape(1)) != d)
            throw std::invalid_argument("constraints are (d, d)");
    const size_t half = out.shape(1), block = std::min(half, size_t(1024)), blocks = half / block;
    double *to = out.data();
    nb::gil_scoped_release release;
    share(size_t(d) * blocks, threads, [&](size_t task) {
        const int y = int(task / blocks);
        Mask allowed = 0, held = 0;
        for (int z = 0; z < d; ++z) {
            if (may.data()[y * d + z]) allowed |= Mask(1) << z;
            if (required.data()[y * d + z]) held |= Mask(1) << z;
        }
        Scratch scratch;
        int32_t parents[MOST_VARIABLES];
        for (size_t p = task % blocks * block, end = p + block; p < end; ++p) {
            const Mask set = unpacked(Mask(p), y);
            double value = NONE;
            if (!(set & ~allowed) && !(held & ~set) && __builtin_popcount(set) <= most) {
                int k = 0;
                for (Mask left = set; left; left &= left - 1) parents[k++] = __builtin_ctz(left);
                value = score.local(y, parents, k, scratch);
            }
            to[size_t(y) * half + p] = value;
        }
    });
}

// Writes the parents of the best graph as masks and returns its score; minus infinity when no graph is allowed.
// Among equals: the sink with the smallest number last, then the fewest parents, then the smallest mask.
static double best_graph(In<double, 2> scores, int threads, Out<uint32_t, 1> parents) {
    const int d = size_of(scores.shape(0), scores.shape(1));
    if (int(parents.shape(0)) != d) throw std::invalid_argument("parents has one entry per variable");
    const size_t half = scores.shape(1), all = half * 2;
    const double *from = scores.data();
    nb::gil_scoped_release release;
    std::vector<double> best(from, from + size_t(d) * half), total(all, NONE);
    std::vector<uint8_t> sink(all, 0);
    share(size_t(d), threads, [&](size_t y) {  // best[y, U] = max over P within U
        double *row = &best[y * half];
        for (size_t bit = 1; bit < half; bit <<= 1)
            for (size_t p = 0; p < half; ++p)
                if (p & bit) row[p] = std::max(row[p], row[p ^ bit]);
    });
    total[0] = 0.0;
    for (Mask s = 1; s < all; ++s)
        for (Mask left = s; left; left &= left - 1) {
            const int y = __builtin_ctz(left);
            const Mask rest = s & ~(Mask(1) << y);
            const double value = total[rest] + best[size_t(y) * half + packed(rest, y)];
            if (value > total[s]) total[s] = value, sink[s] = uint8_t(y);
        }
    if (total[all - 1] == NONE) return NONE;
    for (Mask s = Mask(all - 1); s;) {
        const int y = sink[s];
        s &= ~(Mask(1) << y);
        const Mask within = packed(s, y);
        const double *row = from + size_t(y) * half, value = best[size_t(y) * half + within];
        Mask found = 0;
        int fewest = d;
        for (Mask sub = within;; sub = (sub - 1) & within) {
            const int k = __builtin_popcount(sub);
            if (row[sub] == value && k <= fewest) fewest = k, found = sub;
            if (!sub) break;
        }
        parents.data()[y] = unpacked(found, y);
    }
    return total[all - 1];
}

// mantissa[y, U] 2^exponent[y, U] = sum over P within U of exp(scores[y, P]); mantissas in [1, 2), or 0.
static void family_sums(In<double, 2> scores, int threads, Out<double, 2> mantissa, Out<int32_t, 2> exponent) {
    const int d = size_of(scores.shape(0), scores.shape(1));
    const size_t half = scores.shape(1);
    if (int(mantissa.shape(0)) != d || mantissa.shape(1) != half || int(exponent.shape(0)) != d ||
        exponent.shape(1) != half)
        throw std::invalid_argument("sums have the shape of the scores");
    nb::gil_scoped_release release;
    share(size_t(d), threads, [&](size_t y) {
        const double *from = scores.data() + y * half, ln2 = std::log(2.0);
        double *m = mantissa.data() + y * half;
        int32_t *e = exponent.data() + y * half;
        for (size_t p = 0; p < half; ++p) {
            const double whole = std::floor(from[p] / ln2);
            const bool there = whole > ZERO;
            m[p] = there ? std::exp(from[p] - whole * ln2) : 0.0;
            e[p] = there ? int32_t(whole) : ZERO;
        }
        for (size_t bit = 1; bit < half; bit <<= 1)
            for (size_t p = 0; p < half; ++p)
                if (p & bit) add(m[p], e[p], m[p ^ bit], e[p ^ bit]);
        for (size_t p = 0; p < half; ++p) {
            if (m[p] == 0.0) continue;
            int up;
            m[p] = 2.0 * std::frexp(m[p], &up);
            e[p] += up - 1;
        }
    });
}

void bind_families(nb::module_ &m) {
    m.def("family_scores", &family_scores, nb::arg("score"), nb::arg("may"), nb::arg("required"), nb::arg("most"),
          nb::arg("threads"), nb::arg("out"));
    m.def("best_graph", &best_graph, nb::arg("scores"), nb::arg("threads"), nb::arg("parents"));
    m.def("family_sums", &family_sums, nb::arg("scores"), nb::arg("threads"), nb::arg("mantissa"),
          nb::arg("exponent"));
}
