// Partial correlations over many conditioning sets, for the PC-stable search on Gaussian data.
//
// Both kernels walk the subsets of a node's candidate parents in lexicographic order. The Cholesky factor
// of the set grows by one row per depth, so a set shares the work of its prefix with its neighbours; the last
// element of a set needs no row of its own.
#include "pairs.hpp"

#include <cmath>

namespace {

// A share of variance below this is rounding error: the set determines the variable.
constexpr double COLLINEAR = 1e-10;
constexpr double NO_TEST = 2.0;  // no correlation is this large

double choose(int n, int k) {
    double ways = k < 0 || k > n ? 0 : 1;
    for (int i = 1; i <= k && k <= n; ++i) ways = ways * (n - k + i) / i;
    return ways;
}

// The walk over the subsets of one list, for one pair of end points.
struct Walk {
    const double *corr;
    size_t d;
    int32_t x = 0, y = 0;
    int size = 0;
    Nodes list, set, mine;
    std::vector<char> known;               // nodes of the other list: sets wholly inside were seen already
    std::vector<double> factor, a, b, num, vx, vy, least;
    int64_t undefined = 0;

    Walk(const double *corr, size_t d) : corr(corr), d(d), known(d, 0) {}

    void begin(int32_t x_, int32_t y_, int size_) {
        x = x_, y = y_, size = size_;
        set.resize(size), a.resize(size), b.resize(size);
        factor.resize(size_t(size) * size);
        num.resize(size + 1), vx.resize(size + 1), vy.resize(size + 1);
        num[0] = corr[x * d + y], vx[0] = vy[0] = 1.0;
    }

    // Adds variable s as element m of the set; false when the set determines it.
    bool push(int m, int32_t s) {
        const double *from = corr + size_t(s) * d;
        double *row = &factor[size_t(m) * size];
        double rest = 1.0, to_x = from[x], to_y = from[y];
        for (int t = 0; t < m; ++t) {
            const double *above = &factor[size_t(t) * size];
            double v = from[set[t]];
            for (int u = 0; u < t; ++u) v -= row[u] * above[u];
            row[t] = v / above[t];
            rest -= row[t] * row[t];
            to_x -= row[t] * a[t];
            to_y -= row[t] * b[t];
        }
        if (rest < COLLINEAR) return false;
        row[m] = std::sqrt(rest);
        set[m] = s;
        a[m] = to_x / row[m], b[m] = to_y / row[m];
        num[m + 1] = num[m] - a[m] * b[m];
        vx[m + 1] = vx[m] - a[m] * a[m];
        vy[m + 1] = vy[m] - b[m] * b[m];
        return true;
    }

    // Calls leaf(r) for each subset of `list` of the given size until it returns true.
    template <class Leaf>
    bool each(int depth, int start, int seen, bool second, Leaf &leaf) {
        if (depth == size - 1) return last(depth, start, second && seen == depth, leaf);
        const int c = int(list.size());
        for (int p = start; p <= c - (size - depth); ++p) {
            if (!push(depth, list[p])) {
                undefined += int64_t(std::min(choose(c - p - 1, size - depth - 1), 1e15));
                continue;
            }
            if (each(depth + 1, p + 1, seen + known[list[p]], second, leaf)) return true;
        }
        return false;
    }

    // The same for the last element m: what its row of the factor would hold stays in registers.
    template <class Leaf>
    bool last(int m, int start, bool skip_known, Leaf &leaf) {
        const double *to_x_row = corr + size_t(x) * d, *to_y_row = corr + size_t(y) * d;
        const double nm = num[m], vxm = vx[m], vym = vy[m];
        double *row = factor.data() + size_t(m) * size;
        for (int p = start; p < int(list.size()); ++p) {
            const int32_t s = list[p];
            if (skip_known && known[s]) continue;
            double rest = 1.0, to_x = to_x_row[s], to_y = to_y_row[s];
            if (m > 0) {
                const double *from = corr + size_t(s) * d;
                for (int t = 0; t < m; ++t) {
                    const double *above = &factor[size_t(t) * size];
                    double v = from[set[t]];
                    for (int u = 0; u < t; ++u) v -= row[u] * above[u];
                    row[t] = v / above[t];
                    rest -= row[t] * row[t];
                    to_x -= row[t] * a[t];
                    to_y -= row[t] * b[t];
                }
                if (rest < COLLINEAR) { ++undefined; continue; }
            }
            const double share = 1.0 / rest;
            const double wx = vxm - to_x * to_x * share, wy = vym - to_y * to_y * share;
            if (wx < COLLINEAR || wy < COLLINEAR) { ++undefined; continue; }
            set[m] = s;
            const double r = (nm - to_x * to_y * share) / std::sqrt(wx * wy);
            if (leaf(std::max(-1.0, std::min(1.0, r)))) return true;
        }
        return false;
    }

    // Subsets of x's list, then those of y's list that are not subsets of x's.
    template <class Leaf>
    bool both(const Lists &lists, Leaf &&leaf) {
        if (size == 0) return leaf(num[0]);
        lists.take(x, y, list);
        if (each(0, 0, 0, false, leaf)) return true;
        mine.swap(list);
        for (int32_t s : mine) known[s] = 1;
        lists.take(y, x, list);
        const bool stopped = each(0, 0, 0, true, leaf);
        for (int32_t s : mine) known[s] = 0;
        return stopped;
    }
};

// One level of PC-stable: every set of `size` candidates of either end, until |r| <= critical.
void gaussian_level(In<double, 2> corr, In<int64_t, 1> starts, In<int32_t, 1> candidates,
                           In<int32_t, 2> pairs, int size, double critical, int threads,
                           Out<uint8_t, 1> removed, Out<double, 1> weakest, Out<int32_t, 2> sets,
                           Out<int64_t, 2> tests) {
    const size_t d = corr.shape(0), m = pairs.shape(0);
    check(corr.shape(1) == d, "corr must be square");
    check(weakest.shape(0) == m, "wrong output shape");
    check_level(m, size, removed, sets, tests);
    check_pairs(d, pairs);
    const Lists lists = checked_lists(d, starts, candidates);
    nb::gil_scoped_release release;
    share_pairs(m, 16, threads, [&] { return Walk(corr.data(), d); }, [&](Walk &walk, size_t p) {
        double best = NO_TEST;
        int64_t done = 0;
        walk.undefined = 0;
        walk.begin(pairs.data()[2 * p], pairs.data()[2 * p + 1], size);
        removed.data()[p] = walk.both(lists, [&](double r) {
            ++done;
            if (std::fabs(r) < std::fabs(best)) {
                best = r;
                std::copy(walk.set.begin(), walk.set.end(), sets.data() + p * size);
            }
            return std::fabs(r) <= critical;
        });
        weakest.data()[p] = best;
        tests.data()[2 * p] = done;
        tests.data()[2 * p + 1] = walk.undefined;
    });
}

// For each pair and each of its middle nodes: among all sets up to the size of `critical`, how many separate
// the pair with and without the middle node, and the smallest Fisher z statistic with and without it. Caller: zeros in
// `separating`, infinity in `smallest`.
void gaussian_triples(In<double, 2> corr, In<int64_t, 1> starts, In<int32_t, 1> candidates,
                             In<int32_t, 2> pairs, In<int64_t, 1> middle_starts, In<int32_t, 1> middles,
                             In<double, 1> critical, In<double, 1> scale, int threads,
                             Out<int64_t, 2> separating, Out<double, 2> smallest) {
    const size_t d = corr.shape(0), m = pairs.shape(0);
    check(corr.shape(1) == d, "corr must be square");
    check(scale.shape(0) == critical.shape(0), "scale and critical have one entry per size");
    check_middles(m, middle_starts, middles, separating, smallest);
    check_pairs(d, pairs);
    const Lists lists = checked_lists(d, starts, candidates);
    const int sizes = int(critical.shape(0));
    nb::gil_scoped_release release;
    share_pairs(m, 16, threads, [&] { return Walk(corr.data(), d); }, [&](Walk &walk, size_t p) {
        const int64_t from = middle_starts.data()[p], to = middle_starts.data()[p + 1];
        walk.least.resize(2 * size_t(to - from));
        for (int size = 0; size < sizes; ++size) {
            walk.begin(pairs.data()[2 * p], pairs.data()[2 * p + 1], size);
            std::fill(walk.least.begin(), walk.least.end(), NO_TEST);
            walk.both(lists, [&](double r) {
                const double strength = std::fabs(r);
                const bool separates = strength <= critical.data()[size];
                for (int64_t q = from; q < to; ++q) {
                    const int32_t *s = walk.set.data();
                    const bool without = std::find(s, s + size, middles.data()[q]) == s + size;
                    double &low = walk.least[2 * (q - from) + without];
                    low = std::min(low, strength);
                    separating.data()[2 * q + without] += separates;
                }
                return false;
            });
            // Within one size the statistic grows with the correlation.
            for (size_t q = 0; q < walk.least.size(); ++q)
                if (walk.least[q] < NO_TEST)
                    smallest.data()[2 * from + q] =
                        std::min(smallest.data()[2 * from + q], std::atanh(walk.least[q]) * scale.data()[size]);
        }
    });
}

}  // namespace

void bind_skeleton_gaussian(nb::module_ &m) {
    m.def("gaussian_level", &gaussian_level, nb::arg("corr"), nb::arg("starts"), nb::arg("candidates"),
          nb::arg("pairs"), nb::arg("size"), nb::arg("critical"), nb::arg("threads"), nb::arg("removed"),
          nb::arg("weakest"), nb::arg("sets"), nb::arg("tests"));
    m.def("gaussian_triples", &gaussian_triples, nb::arg("corr"), nb::arg("starts"), nb::arg("candidates"),
          nb::arg("pairs"), nb::arg("middle_starts"), nb::arg("middles"), nb::arg("critical"),
          nb::arg("scale"), nb::arg("threads"), nb::arg("separating"), nb::arg("smallest"));
}
