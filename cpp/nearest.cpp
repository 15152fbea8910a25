// The nearest donors of every query, all ties kept: a tree of boxes whose leaves are measured several points at a time.
//
// In ten dimensions a tree spares less than it does on a map: a tenth of all leaves have to be looked at. They are looked
// at in single precision, with room for its rounding, coordinate by coordinate until none of a leaf's points can be near
// enough; what remains, about one leaf in twenty of those, is measured in full.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "pairs.hpp"

namespace {

constexpr size_t LEAF = 64, LANES = 8, PARTS = LEAF / LANES;
constexpr size_t LOOK = 3;      // coordinates between looks at whether any point is still near enough
constexpr size_t BLOCK = 256;   // queries a thread takes at a time
constexpr double RELATIVE = 1e-9, ABSOLUTE = 1e-10;  // distances closer than this are the same distance
constexpr double ROUNDING = 1e-6;                    // of a single-precision distance, as a part of the largest coordinate
constexpr double FAR = 1e15;                         // a query so many times as far out as any donor is measured in full

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WHENCE_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define WHENCE_WIDE
#endif

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t Marks __attribute__((vector_size(4 * LANES)));

double as_far(double distance) { return distance * (1 + RELATIVE) + ABSOLUTE; }

// Squared distances of a query from the points of a leaf, or false when none is within ``bound``.
WHENCE_WIDE bool measure(const float *__restrict points, const float *__restrict query, size_t k, float bound,
                         float *__restrict out) {
    Lanes sum[PARTS] = {};
    for (size_t d = 0; d < k;) {
        for (const size_t to = std::min(k, d + LOOK); d < to; ++d) {
            const Lanes own = Lanes{} + query[d];
            for (size_t p = 0; p < PARTS; ++p) {
                Lanes gap;
                std::memcpy(&gap, points + d * LEAF + p * LANES, sizeof gap);
                gap -= own;
                sum[p] += gap * gap;
            }
        }
        Marks near = sum[0] <= bound;
        for (size_t p = 1; p < PARTS; ++p) near |= sum[p] <= bound;
        uint64_t any[sizeof near / 8];
        std::memcpy(any, &near, sizeof near);
        if (!(any[0] | any[1] | any[2] | any[3])) return false;
    }
    std::memcpy(out, sum, sizeof sum);
    return true;
}

// Squared distance of a query from a box: ``wide`` lower ends, then as many upper ones, zeros to fill the lanes.
WHENCE_WIDE float from_box(const float *__restrict box, const float *__restrict query, size_t wide) {
    Lanes sum = {};
    for (size_t d = 0; d < wide; d += LANES) {
        Lanes low, high, own;
        std::memcpy(&low, box + d, sizeof low);
        std::memcpy(&high, box + wide + d, sizeof high);
        std::memcpy(&own, query + d, sizeof own);
        const Lanes below = low - own, above = own - high;
        Lanes gap = below > above ? below : above;
        gap = gap > 0.0f ? gap : Lanes{};
        sum += gap * gap;
    }
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

// Coordinates in single precision: about ``centre``, in units of the largest.
struct Frame {
    std::vector<double> centre;
    double unit = 0.0;

    Frame(const double *points, size_t n, size_t k) : centre(k) {
        for (size_t d = 0; d < k; ++d) {
            double low = points[d], high = points[d];
            for (size_t i = 1; i < n; ++i) low = std::min(low, points[i * k + d]), high = std::max(high, points[i * k + d]);
            centre[d] = low / 2 + high / 2;
            unit = std::max(unit, high / 2 - low / 2);
        }
        if (unit == 0.0) unit = 1.0;
    }
    float at(const double *point, size_t d) const { return float((point[d] - centre[d]) / unit); }
};

struct Tree {
    const double *points;
    size_t k, wide;                  // wide: k, up to whole lanes
    const Frame &frame;
    std::vector<int64_t> order;      // points, those of a leaf together
    std::vector<int32_t> child;      // two per node; a leaf has -1 - its number among the leaves
    std::vector<float> box;          // 2 wide per node
    std::vector<int64_t> start;      // of each leaf in ``order``, and one end
    std::vector<float> leaves;       // k x LEAF per leaf, far away where there is no point

    Tree(const double *points_, size_t n, size_t k_, const Frame &frame_)
        : points(points_), k(k_), wide((k_ + LANES - 1) / LANES * LANES), frame(frame_), order(n) {
        std::iota(order.begin(), order.end(), int64_t(0));
        build(0, n);
        start.push_back(int64_t(n));
        leaves.assign((start.size() - 1) * k * LEAF, std::numeric_limits<float>::max());
        for (size_t l = 0; l + 1 < start.size(); ++l)
            for (int64_t i = start[l]; i < start[l + 1]; ++i)
                for (size_t d = 0; d < k; ++d)
                    leaves[(l * k + d) * LEAF + size_t(i - start[l])] = frame.at(points + size_t(order[size_t(i)]) * k, d);
    }

  private:
    int32_t build(size_t from, size_t to) {
        const size_t node = child.size() / 2, at = box.size();
        child.resize(child.size() + 2, 0);
        box.resize(at + 2 * wide, 0.0f);
        size_t widest = 0;
        for (size_t d = 0; d < k; ++d) {
            double low = points[size_t(order[from]) * k + d], high = low;
            for (size_t i = from + 1; i < to; ++i) {
                const double x = points[size_t(order[i]) * k + d];
                low = std::min(low, x), high = std::max(high, x);
            }
            box[at + d] = float((low - frame.centre[d]) / frame.unit);
            box[at + wide + d] = float((high - frame.centre[d]) / frame.unit);
            if (box[at + wide + d] - box[at + d] > box[at + wide + widest] - box[at + widest]) widest = d;
        }
        if (to - from <= LEAF) {
            child[2 * node] = child[2 * node + 1] = -1 - int32_t(start.size());
            start.push_back(int64_t(from));
            return int32_t(node);
        }
        const size_t whole = (to - from + LEAF - 1) / LEAF;  // leaves; full ones on the left waste no room
        const size_t middle = from + (whole + 1) / 2 * LEAF < to ? from + (whole + 1) / 2 * LEAF : from + LEAF;
        std::nth_element(order.begin() + int64_t(from), order.begin() + int64_t(middle), order.begin() + int64_t(to),
                         [&](int64_t a, int64_t b) {
                             const double x = points[size_t(a) * k + widest], y = points[size_t(b) * k + widest];
                             return x != y ? x < y : a < b;
                         });
        const int32_t left = build(from, middle), right = build(middle, to);
        child[2 * node] = left, child[2 * node + 1] = right;
        return int32_t(node);
    }
};

// The search of one query: donors within reach so far, and the nearest whose counts reach what is wanted.
struct Search {
    const Tree &tree;
    const int64_t *counts;
    int64_t wanted;
    double limit;
    std::vector<std::pair<double, int64_t>> seen = {}, nearest = {};  // squared distance, donor
    const double *query = nullptr;
    double reach = 0.0, bound = 0.0;  // distance of the last one wanted; squared, with its ties
    float within = 0.0f;              // ``bound`` in single precision, with room for its rounding
    double slack = 0.0;
    std::vector<float> own = {};
    float gaps[LEAF] = {};

    void run(const double *query_) {
        query = query_;
        seen.clear(), nearest.clear();
        own.assign(tree.wide, 0.0f);
        double largest = 1.0;
        for (size_t d = 0; d < tree.k; ++d) {
            largest = std::max(largest, std::abs((query[d] - tree.frame.centre[d]) / tree.frame.unit));
            own[d] = tree.frame.at(query, d);
        }
        slack = largest > FAR ? std::numeric_limits<double>::infinity() : ROUNDING * largest * std::sqrt(double(tree.k));
        reach = as_far(limit);
        narrow(reach);
        visit(0);
        size_t kept = 0;
        for (const auto &one : seen)
            if (one.first <= bound) seen[kept++] = one;
        seen.resize(kept);
        std::sort(seen.begin(), seen.end(), [](const auto &a, const auto &b) { return a.second < b.second; });
    }

  private:
    void narrow(double distance) {
        bound = distance * distance;
        const double scaled = (distance / tree.frame.unit + slack) * (1 + ROUNDING * double(tree.k));
        within = scaled < 1e19 ? float(scaled * scaled) : std::numeric_limits<float>::infinity();
    }

    void visit(int32_t node) {
        const int32_t left = tree.child[size_t(2 * node)];
        if (left < 0) return leaf(size_t(-1 - left));
        const int32_t right = tree.child[size_t(2 * node + 1)];
        const float a = from_box(&tree.box[size_t(left) * 2 * tree.wide], own.data(), tree.wide);
        const float b = from_box(&tree.box[size_t(right) * 2 * tree.wide], own.data(), tree.wide);
        if (std::min(a, b) <= within) visit(a <= b ? left : right);
        if (std::max(a, b) <= within) visit(a <= b ? right : left);
    }

    void leaf(size_t number) {
        if (!measure(&tree.leaves[number * tree.k * LEAF], own.data(), tree.k, within, gaps)) return;
        const int64_t from = tree.start[number], size = tree.start[number + 1] - from;
        for (int64_t p = 0; p < size; ++p)
            if (gaps[p] <= within) take(tree.order[size_t(from + p)]);
    }

    void take(int64_t donor) {
        const double *point = tree.points + size_t(donor) * tree.k;
        double gap = 0.0;
        for (size_t d = 0; d < tree.k; ++d) gap += (point[d] - query[d]) * (point[d] - query[d]);
        if (gap > bound) return;
        seen.emplace_back(gap, donor);
        if (std::sqrt(gap) > reach) return;
        nearest.insert(std::upper_bound(nearest.begin(), nearest.end(), seen.back()), seen.back());
        int64_t rows = 0;
        for (size_t i = 0; i < nearest.size(); ++i) {
            rows += counts[nearest[i].second];
            if (rows < wanted) continue;
            nearest.resize(i + 1);
            reach = std::sqrt(nearest[i].first);
            return narrow(std::min(as_far(reach), as_far(limit)));
        }
    }
};

template <class T> nb::ndarray<nb::numpy, T, nb::ndim<1>> given(std::vector<T> &&values) {
    auto *kept = new std::vector<T>(std::move(values));
    const nb::capsule owner(kept, [](void *p) noexcept { delete static_cast<std::vector<T> *>(p); });
    return nb::ndarray<nb::numpy, T, nb::ndim<1>>(kept->data(), {kept->size()}, owner);
}

// donors: (m, k), counts: (m,) rows at each. queries: (q, k). The donors of query i are columns[starts[i] : starts[i + 1]],
// ascending: the nearest whose rows number ``wanted``, with all as near as the last of them, none beyond ``limit``.
// Gives starts, columns and the distance of the last (0 without any).
nb::tuple nearest(In<double, 2> donors, In<int64_t, 1> counts, In<double, 2> queries, int64_t wanted, double limit,
                  int threads) {
    const size_t m = donors.shape(0), k = donors.shape(1), q = queries.shape(0);
    check(counts.shape(0) == m && queries.shape(1) == k, "counts and queries must fit the donors");
    check(m > 0 && wanted > 0 && m < (size_t(1) << 30), "there must be donors, and some must be wanted");
    for (size_t i = 0; i < m; ++i) check(counts.data()[i] > 0, "every donor must have a row");
    std::vector<int64_t> starts(q + 1, 0), columns;
    std::vector<double> farthest(q, 0.0);
    {
        nb::gil_scoped_release release;
        const Frame frame(donors.data(), m, k);
        const Tree tree(donors.data(), m, k, frame);
        const std::vector<int64_t> order = q ? Tree(queries.data(), q, k, frame).order : std::vector<int64_t>();
        std::vector<std::vector<int64_t>> found(q);
        share_pairs(
            q, BLOCK, threads,  // in the order of a tree, so that near ones find the same leaves at hand
            [&] { return Search{tree, counts.data(), wanted, limit}; },
            [&](Search &search, size_t at) {
                const size_t i = size_t(order[at]);
                search.run(queries.data() + i * k);
                double last = 0.0;
                for (const auto &[gap, donor] : search.seen) found[i].push_back(donor), last = std::max(last, gap);
                farthest[i] = std::sqrt(last);
            });
        for (size_t i = 0; i < q; ++i) starts[i + 1] = starts[i] + int64_t(found[i].size());
        columns.reserve(size_t(starts[q]));
        for (const auto &one : found) columns.insert(columns.end(), one.begin(), one.end());
    }
    return nb::make_tuple(given(std::move(starts)), given(std::move(columns)), given(std::move(farthest)));
}

}  // namespace

void bind_nearest(nb::module_ &m) {
    m.def("nearest", &nearest, nb::arg("donors"), nb::arg("counts"), nb::arg("queries"), nb::arg("wanted"),
          nb::arg("limit"), nb::arg("threads"));
}
