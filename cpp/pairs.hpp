// What the kernels of the PC-stable search share: candidate lists, the walk over their subsets, argument checks, and
// pairs of nodes divided among threads. Pairs are independent of each other: any number of threads gives the same bits.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <atomic>
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

using Nodes = std::vector<int32_t>;

// Candidate parents of every node, ascending: those of i are nodes[starts[i] : starts[i + 1]].
struct Lists {
    const int64_t *starts;
    const int32_t *nodes;

    void take(int32_t owner, int32_t other, Nodes &out) const {
        out.clear();
        for (int64_t p = starts[owner]; p < starts[owner + 1]; ++p)
            if (nodes[p] != other) out.push_back(nodes[p]);
    }
};

// The subsets of the lists of one pair of ends, in lexicographic order.
struct Subsets {
    Nodes list, set, mine;
    std::vector<char> known;  // nodes of the first list: sets wholly inside were seen already
    size_t size = 0;

    explicit Subsets(size_t d) : known(d, 0) {}

    // Calls leaf() for every set of `size` candidates of x, then of y that are not all candidates of x, until it
    // returns true. push(m, s) adds node s as element m before.
    template <class Push, class Leaf>
    bool both(const Lists &lists, int32_t x, int32_t y, size_t size_, Push &&push, Leaf &&leaf) {
        size = size_;
        set.resize(size);
        if (size == 0) return leaf();
        lists.take(x, y, list);
        if (each(0, 0, 0, false, push, leaf)) return true;
        mine.swap(list);
        for (int32_t s : mine) known[s] = 1;
        lists.take(y, x, list);
        const bool stopped = each(0, 0, 0, true, push, leaf);
        for (int32_t s : mine) known[s] = 0;
        return stopped;
    }

    template <class Push, class Leaf>
    bool each(size_t depth, size_t start, size_t seen, bool second, Push &push, Leaf &leaf) {
        if (depth == size) return leaf();
        for (size_t p = start; p + size <= list.size() + depth; ++p) {
            if (second && depth == size - 1 && seen == depth && known[list[p]]) continue;
            set[depth] = list[p];
            push(depth, list[p]);
            if (each(depth + 1, p + 1, seen + size_t(known[list[p]]), second, push, leaf)) return true;
        }
        return false;
    }

    bool has(int32_t node) const { return std::find(set.begin(), set.end(), node) != set.end(); }
};

inline void check(bool ok, const char *message) {
    if (!ok) throw std::invalid_argument(message);
}

inline Lists checked_lists(size_t d, const In<int64_t, 1> &starts, const In<int32_t, 1> &nodes) {
    check(starts.shape(0) == d + 1, "starts must have d + 1 entries");
    for (size_t i = 0; i < d; ++i) check(starts.data()[i] <= starts.data()[i + 1], "starts must ascend");
    check(starts.data()[0] == 0 && size_t(starts.data()[d]) == nodes.shape(0), "starts must span the candidates");
    for (size_t i = 0; i < nodes.shape(0); ++i)
        check(nodes.data()[i] >= 0 && size_t(nodes.data()[i]) < d, "a candidate is not a node");
    return {starts.data(), nodes.data()};
}

inline void check_pairs(size_t d, const In<int32_t, 2> &pairs) {
    check(pairs.shape(1) == 2, "pairs must be (m, 2)");
    for (size_t i = 0; i < 2 * pairs.shape(0); ++i)
        check(pairs.data()[i] >= 0 && size_t(pairs.data()[i]) < d, "a pair names no node");
}

// The outputs of one level: what was decided, the set and the tests of each of m pairs.
inline void check_level(size_t m, int size, const Out<uint8_t, 1> &removed, const Out<int32_t, 2> &sets,
                        const Out<int64_t, 2> &tests) {
    check(size >= 0, "size must be at least 0");
    check(removed.shape(0) == m && sets.shape(0) == m && sets.shape(1) == size_t(size) && tests.shape(0) == m &&
          tests.shape(1) == 2, "wrong output shape");
}

// The middle nodes of m pairs, those of p being middles[starts[p] : starts[p + 1]], and the outputs about them.
inline void check_middles(size_t m, const In<int64_t, 1> &starts, const In<int32_t, 1> &middles,
                          const Out<int64_t, 2> &separating, const Out<double, 2> &number) {
    const size_t t = middles.shape(0);
    check(starts.shape(0) == m + 1 && starts.data()[0] == 0 && size_t(starts.data()[m]) == t,
          "middles do not match pairs");
    for (size_t p = 0; p < m; ++p) check(starts.data()[p] <= starts.data()[p + 1], "middle_starts must ascend");
    check(separating.shape(0) == t && separating.shape(1) == 2 && number.shape(0) == t && number.shape(1) == 2,
          "wrong output shape");
}

// Runs work(worker, pair) for every pair, `worker` one of make() per thread; threads take blocks from a shared counter.
template <class Make, class Work>
void share_pairs(size_t pairs, size_t block, int threads, const Make &make, const Work &work) {
    std::atomic<size_t> next{0};
    const auto run = [&] {
        auto worker = make();
        for (size_t from; (from = next.fetch_add(block)) < pairs;)
            for (size_t p = from; p < std::min(pairs, from + block); ++p) work(worker, p);
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
