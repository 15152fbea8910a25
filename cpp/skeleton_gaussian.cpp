// Partial correlations over many conditioning sets, for the PC-stable search on Gaussian data.
//
// Both kernels walk the subsets of a node's candidate parents in lexicographic order. The Cholesky factor
// of the set grows by one row per depth, so a set shares the work of its prefix with its neighbours.
// Pairs are independent of each other: any number of threads gives the same bits.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

// A share of variance below this is rounding error: the set determines the variable.
static constexpr double COLLINEAR = 1e-10;
static constexpr double NO_TEST = 2.0;  // no correlation is this large

// Candidate parents of every node, ascending: those of i are candidates[starts[i] : starts[i + 1]].
struct Lists {
    const int64_t *starts;
    const int32_t *candidates;
};

static double choose(int n, int k) {
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
    std::vector<int32_t> list, set;
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

    void take_list(const Lists &lists, int32_t owner, int32_t other) {
        list.clear();
        for (int64_t p = lists.starts[owner]; p < lists.starts[owner + 1]; ++p)
            if (lists.candidates[p] != other) list.push_back(lists.candidates[p]);
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
        if (depth == size) {
            if (second && seen == size) return false;
            if (vx[size] < COLLINEAR || vy[size] < COLLINEAR) { ++undefined; return false; }
            const double r = num[size] / std::sqrt(vx[size] * vy[size]);
            return leaf(std::max(-1.0, std::min(1.0, r)));
        }
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

    // Subsets of x's list, then those of y's list that are not subsets of x's.
    template <class Leaf>
    bool both(const Lists &lists, Leaf &&leaf) {
        if (size == 0) return each(0, 0, 0, false, leaf);
        take_list(lists, x, y);
        if (each(0, 0, 0, false, leaf)) return true;
        const std::vector<int32_t> mine = list;
        for (int32_t s : mine) known[s] = 1;
        take_list(lists, y, x);
        const bool stopped = each(0, 0, 0, true, leaf);
        for (int32_t s : mine) known[s] = 0;
        return stopped;
    }
};

// Runs work(walk, pair) for every pair; threads take small blocks from a shared counter.
template <class Work>
static void share(const double *corr, size_t d, size_t pairs, int threads, Work work) {
    std::atomic<size_t> next{0};
    constexpr size_t block = 16;
    auto run = [&] {
        Walk walk(corr, d);
        for (size_t from; (from = next.fetch_add(block)) < pairs;)
            for (size_t p = from; p < std::min(pairs, from + block); ++p) work(walk, p);
    };
    const size_t useful = std::min(size_t(std::max(threads, 1)), (pairs + block - 1) / block);
    std::vector<std::thread> pool;
    try {
        for (size_t t = 1; t < useful; ++t) pool.emplace_back(run);
    } catch (const std::system_error &) {
        // The system gives no more threads: those that started share the work.
    }
    run();
    for (auto &thread : pool) thread.join();
}

static void check(bool ok, const char *message) {
    if (!ok) throw std::invalid_argument(message);
}

static void check_lists(size_t d, const In<int64_t, 1> &starts, const In<int32_t, 1> &candidates,
                        const In<int32_t, 2> &pairs) {
    check(starts.shape(0) == d + 1, "starts must have d + 1 entries");
    check(pairs.shape(1) == 2, "pairs must be (m, 2)");
    for (size_t i = 0; i < d; ++i) check(starts.data()[i] <= starts.data()[i + 1], "starts must ascend");
    check(starts.data()[0] == 0 && size_t(starts.data()[d]) == candidates.shape(0),
          "starts must span the candidates");
    for (size_t i = 0; i < candidates.shape(0); ++i)
        check(candidates.data()[i] >= 0 && size_t(candidates.data()[i]) < d, "a candidate is not a node");
    for (size_t i = 0; i < 2 * pairs.shape(0); ++i)
        check(pairs.data()[i] >= 0 && size_t(pairs.data()[i]) < d, "a pair names no node");
}

// One level of PC-stable: every set of `size` candidates of either end, until |r| <= critical.
static void gaussian_level(In<double, 2> corr, In<int64_t, 1> starts, In<int32_t, 1> candidates,
                           In<int32_t, 2> pairs, int size, double critical, int threads,
                           Out<uint8_t, 1> removed, Out<double, 1> weakest, Out<int32_t, 2> sets,
                           Out<int64_t, 2> tests) {
    const size_t d = corr.shape(0), m = pairs.shape(0);
    check(corr.shape(1) == d && size >= 0, "corr must be square and size at least 0");
    check_lists(d, starts, candidates, pairs);
    check(removed.shape(0) == m && weakest.shape(0) == m && sets.shape(0) == m &&
          sets.shape(1) == size_t(size) && tests.shape(0) == m && tests.shape(1) == 2, "wrong output shape");
    const Lists lists{starts.data(), candidates.data()};
    nb::gil_scoped_release release;
    share(corr.data(), d, m, threads, [&](Walk &walk, size_t p) {
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
// the pair with and without the middle node, and the smallest Fisher z statistic with and without it. Caller: zeros in `separating`, infinity in `smallest`.
static void gaussian_triples(In<double, 2> corr, In<int64_t, 1> starts, In<int32_t, 1> candidates,
                             In<int32_t, 2> pairs, In<int64_t, 1> middle_starts, In<int32_t, 1> middles,
                             In<double, 1> critical, In<double, 1> scale, int threads,
                             Out<int64_t, 2> separating, Out<double, 2> smallest) {
    const size_t d = corr.shape(0), m = pairs.shape(0), t = middles.shape(0);
    check(corr.shape(1) == d, "corr must be square");
    check_lists(d, starts, candidates, pairs);
    check(middle_starts.shape(0) == m + 1 && middle_starts.data()[0] == 0 &&
          size_t(middle_starts.data()[m]) == t, "middles do not match pairs");
    for (size_t p = 0; p < m; ++p)
        check(middle_starts.data()[p] <= middle_starts.data()[p + 1], "middle_starts must ascend");
    check(scale.shape(0) == critical.shape(0), "scale and critical have one entry per size");
    check(separating.shape(0) == t && separating.shape(1) == 2 && smallest.shape(0) == t &&
          smallest.shape(1) == 2, "wrong output shape");
    const Lists lists{starts.data(), candidates.data()};
    const int sizes = int(critical.shape(0));
    nb::gil_scoped_release release;
    share(corr.data(), d, m, threads, [&](Walk &walk, size_t p) {
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

void bind_skeleton_gaussian(nb::module_ &m) {
    m.def("gaussian_level", &gaussian_level, nb::arg("corr"), nb::arg("starts"), nb::arg("candidates"),
          nb::arg("pairs"), nb::arg("size"), nb::arg("critical"), nb::arg("threads"), nb::arg("removed"),
          nb::arg("weakest"), nb::arg("sets"), nb::arg("tests"));
    m.def("gaussian_triples", &gaussian_triples, nb::arg("corr"), nb::arg("starts"), nb::arg("candidates"),
          nb::arg("pairs"), nb::arg("middle_starts"), nb::arg("middles"), nb::arg("critical"),
          nb::arg("scale"), nb::arg("threads"), nb::arg("separating"), nb::arg("smallest"));
}
