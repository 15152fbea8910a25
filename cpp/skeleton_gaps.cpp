// Partial correlations where values are missing, for the PC-stable search: each test on the rows that have its
// variables, with or without the correction for what decides that values are missing.
//
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

namespace {

constexpr double COLLINEAR = 1e-10;  // a share of variance below this is rounding error
using Nodes = std::vector<int32_t>;
using Matrix = std::vector<double>;

struct Lists {
    const int64_t *starts;
    const int32_t *nodes;
};

// values: (d, n), 0 where missing. present: (d, words), one bit per row. causes: of each node's missingness.
struct Data {
    const double *values;
    const uint64_t *present;
    size_t d, n, words;
    Lists causes;
};

struct Answer {
    bool possible;
    double p, z;
    int64_t n;
};

// A symmetric matrix over some nodes, and the rows it rests on.
struct Spread {
    Nodes nodes;
    Matrix at;
    int64_t n = 0;
    double operator()(size_t i, size_t j) const { return at[i * nodes.size() + j]; }
    double &operator()(size_t i, size_t j) { return at[i * nodes.size() + j]; }
};

double dot(const double *a, const double *b, size_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) s0 += a[i] * b[i], s1 += a[i + 1] * b[i + 1], s2 += a[i + 2] * b[i + 2], s3 += a[i + 3] * b[i + 3];
    for (; i < n; ++i) s0 += a[i] * b[i];
    return (s0 + s1) + (s2 + s3);
}

// Lower Cholesky factor of the first `size` rows and columns; false when a variable is determined by earlier ones.
bool factor(const Spread &m, size_t size, Matrix &low) {
    low.assign(size * size, 0.0);
    for (size_t i = 0; i < size; ++i) {
        for (size_t j = 0; j <= i; ++j) {
            double v = m(i, j);
            for (size_t t = 0; t < j; ++t) v -= low[i * size + t] * low[j * size + t];
            if (i == j) {
                if (!(v >= COLLINEAR * m(i, i)) || !(m(i, i) > 0)) return false;
                low[i * size + i] = std::sqrt(v);
            } else {
                low[i * size + j] = v / low[j * size + j];
            }
        }
    }
    return true;
}

void forward(const Matrix &low, size_t size, double *v) {
    for (size_t i = 0; i < size; ++i) {
        for (size_t t = 0; t < i; ++t) v[i] -= low[i * size + t] * v[t];
        v[i] /= low[i * size + i];
    }
}

void backward(const Matrix &low, size_t size, double *v) {
    for (size_t i = size; i-- > 0;) {
        for (size_t t = i + 1; t < size; ++t) v[i] -= low[t * size + i] * v[t];
        v[i] /= low[i * size + i];
    }
}

struct Worker {
    const Data &data;
    Matrix gathered;
    std::vector<uint64_t> bits;
    Nodes rows;

    explicit Worker(const Data &data) : data(data), bits(data.words) {}

    // Covariances of the nodes in the rows that have all of them.
    Spread complete(Nodes nodes) {
        const size_t q = nodes.size();
        std::copy_n(data.present + nodes[0] * data.words, data.words, bits.begin());
        for (size_t k = 1; k < q; ++k)
            for (size_t w = 0; w < data.words; ++w) bits[w] &= data.present[nodes[k] * data.words + w];
        rows.clear();
        for (size_t w = 0; w < data.words; ++w)
            for (uint64_t left = bits[w]; left; left &= left - 1)
                rows.push_back(int32_t(64 * w + size_t(__builtin_ctzll(left))));
        const size_t n = rows.size();
        Spread out{std::move(nodes), Matrix(q * q, 0.0), int64_t(n)};
        if (n == 0) return out;
        gathered.resize(q * n);
        for (size_t k = 0; k < q; ++k) {
            const double *from = data.values + size_t(out.nodes[k]) * data.n;
            double *to = &gathered[k * n], sum = 0;
            for (size_t i = 0; i < n; ++i) sum += to[i] = from[rows[i]];
            for (size_t i = 0; i < n; ++i) to[i] -= sum / double(n);
            for (size_t j = 0; j <= k; ++j) out(k, j) = out(j, k) = dot(to, &gathered[j * n], n) / double(n);
        }
        return out;
    }

    // What the missingness of these nodes depends on, and the missingness of that, and so on; ascending.
    Nodes closure(const Nodes &nodes) const {
        Nodes out, todo = nodes;
        while (!todo.empty()) {
            const int32_t v = todo.back();
            todo.pop_back();
            for (int64_t p = data.causes.starts[v]; p < data.causes.starts[v + 1]; ++p) {
                const int32_t c = data.causes.nodes[p];
                if (std::find(out.begin(), out.end(), c) == out.end()) out.push_back(c), todo.push_back(c);
            }
        }
        std::sort(out.begin(), out.end());
        return out;
    }

    struct Recovered {
        bool ok = false;
        Spread joint;       // over the causes, then the other nodes
        Spread seen;        // the same in the complete rows
        size_t causes = 0;
        Matrix slopes;      // (causes, others)
        Matrix low;         // factor of the causes' covariance in the complete rows
        int64_t wide = 0;   // rows behind the covariance of the causes
    };

    // Covariances as they would be without missing values: the nodes given the causes of their missingness from
    // the complete rows, the causes themselves from all rows that have them, in the same way.
    Recovered recover(const Nodes &nodes) {
        Recovered out;
        Nodes causes = closure(nodes);
        const bool cyclic = causes == [&] { Nodes s = nodes; std::sort(s.begin(), s.end()); return s; }();
        if (causes.empty() || cyclic) {
            out.joint = out.seen = complete(nodes);
            out.wide = out.joint.n;
            out.ok = out.joint.n > int64_t(nodes.size()) + 1;
            return out;
        }
        const size_t c = out.causes = causes.size();
        Recovered above = recover(causes);
        if (!above.ok) return out;
        Nodes all = causes;
        for (int32_t v : nodes)
            if (std::find(causes.begin(), causes.end(), v) == causes.end()) all.push_back(v);
        const size_t q = all.size(), r = q - c;
        out.wide = above.joint.n;
        out.seen = complete(all);
        if (out.seen.n <= int64_t(q) + 1 || !factor(out.seen, c, out.low)) return out;
        out.slopes.assign(c * r, 0.0);
        Matrix column(c);
        for (size_t j = 0; j < r; ++j) {
            for (size_t i = 0; i < c; ++i) column[i] = out.seen(i, c + j);
            forward(out.low, c, column.data());
            backward(out.low, c, column.data());
            for (size_t i = 0; i < c; ++i) out.slopes[i * r + j] = column[i];
        }
        fill(out, above.joint, c, r);
        out.ok = true;
        return out;
    }

    static void fill(Recovered &out, const Spread &above, size_t c, size_t r) {
        out.joint = out.seen;
        Nodes place(c);  // the recursion may hold the causes in another order
        for (size_t i = 0; i < c; ++i)
            place[i] = int32_t(std::find(above.nodes.begin(), above.nodes.end(), out.seen.nodes[i]) - above.nodes.begin());
        auto wide = [&](size_t i, size_t j) { return above(size_t(place[i]), size_t(place[j])); };
        for (size_t i = 0; i < c; ++i)
            for (size_t j = 0; j < c; ++j) out.joint(i, j) = wide(i, j);
        for (size_t i = 0; i < c; ++i)
            for (size_t j = 0; j < r; ++j) {
                double v = 0;
                for (size_t t = 0; t < c; ++t) v += wide(i, t) * out.slopes[t * r + j];
                out.joint(i, c + j) = out.joint(c + j, i) = v;
            }
        for (size_t i = 0; i < r; ++i)
            for (size_t j = 0; j < r; ++j) {
                double v = out.seen(c + i, c + j);
                for (size_t t = 0; t < c; ++t)
                    v += out.slopes[t * r + i] * (out.joint(t, c + j) - out.seen(t, c + j));
                out.joint(c + i, c + j) = v;
            }
    }

    // Fisher's z of x and y given the set.
    Answer test(int32_t x, int32_t y, const int32_t *set, size_t k) {
        Nodes nodes(set, set + k);
        nodes.push_back(x), nodes.push_back(y);
        const Recovered found = recover(nodes);
        const int64_t n = found.seen.n;
        if (!found.ok || n <= int64_t(k + found.causes) + 3) return {false, 0, 0, n};
        const size_t q = found.joint.nodes.size(), p = k + 2;
        Spread own{nodes, Matrix(p * p), n};
        Nodes place(p);
        for (size_t i = 0; i < p; ++i)
            place[i] = int32_t(std::find(found.joint.nodes.begin(), found.joint.nodes.end(), nodes[i]) - found.joint.nodes.begin());
        for (size_t i = 0; i < p; ++i)
            for (size_t j = 0; j < p; ++j) own(i, j) = found.joint(size_t(place[i]), size_t(place[j]));
        Matrix low;
        if (!factor(own, k, low)) return {false, 0, 0, n};
        Matrix gx(k), gy(k);
        for (size_t i = 0; i < k; ++i) gx[i] = own(i, k), gy[i] = own(i, k + 1);
        forward(low, k, gx.data()), forward(low, k, gy.data());
        const double vx = own(k, k) - dot(gx.data(), gx.data(), k), vy = own(k + 1, k + 1) - dot(gy.data(), gy.data(), k);
        const double vxy = own(k, k + 1) - dot(gx.data(), gy.data(), k);
        if (!(vx >= COLLINEAR * own(k, k)) || !(vy >= COLLINEAR * own(k + 1, k + 1)) || !(own(k, k) > 1e-24) ||
            !(own(k + 1, k + 1) > 1e-24))
            return {false, 0, 0, n};
        double worth = double(n);
        if (found.causes) {
            backward(low, k, gx.data()), backward(low, k, gy.data());
            Matrix cx(q, 0.0), cy(q, 0.0);  // what is left of x and of y, as weights of the nodes
            cx[size_t(place[k])] = cy[size_t(place[k + 1])] = 1;
            for (size_t i = 0; i < k; ++i) cx[size_t(place[i])] -= gx[i], cy[size_t(place[i])] -= gy[i];
            worth = effective(found, cx, cy, vx, vy, vxy);
        }
        if (!(worth > double(k) + 3)) return {false, 0, 0, n};
        const double limit = 1 - 1e-15, r = std::max(-limit, std::min(limit, vxy / std::sqrt(vx * vy)));
        const double z = std::atanh(r) * std::sqrt(worth - double(k) - 3);
        return {true, std::erfc(std::fabs(z) / std::sqrt(2.0)), z, n};
    }

    // How many rows without gaps would tell as much about the covariance of what is left of x and of y: by the delta
    // method for normal variables, the slopes and residuals from the complete rows, the causes from all rows.
    static double effective(const Recovered &found, const Matrix &cx, const Matrix &cy, double vx, double vy, double vxy) {
        const size_t c = found.causes, q = found.joint.nodes.size(), r = q - c;
        Matrix bx(cx.begin(), cx.begin() + long(c)), by(cy.begin(), cy.begin() + long(c));
        for (size_t i = 0; i < c; ++i)
            for (size_t j = 0; j < r; ++j) bx[i] += found.slopes[i * r + j] * cx[c + j], by[i] += found.slopes[i * r + j] * cy[c + j];
        Matrix sx(c, 0.0), sy(c, 0.0);  // covariances of the causes with their parts of x and of y
        for (size_t i = 0; i < c; ++i)
            for (size_t j = 0; j < c; ++j) sx[i] += found.joint(i, j) * bx[j], sy[i] += found.joint(i, j) * by[j];
        const double wxx = dot(bx.data(), sx.data(), c), wyy = dot(by.data(), sy.data(), c), wxy = dot(bx.data(), sy.data(), c);
        const double exx = vx - wxx, eyy = vy - wyy, exy = vxy - wxy;
        forward(found.low, c, sx.data()), forward(found.low, c, sy.data());
        const double qxx = dot(sx.data(), sx.data(), c), qyy = dot(sy.data(), sy.data(), c), qxy = dot(sx.data(), sy.data(), c);
        const double variance = (exx * qyy + eyy * qxx + 2 * exy * qxy + exx * eyy + exy * exy) / double(found.seen.n) +
                                (wxx * wyy + wxy * wxy) / double(found.wide);
        return (vx * vy + vxy * vxy) / variance;
    }
};

// Calls leaf(set) for every set of `size` candidates of x, then of y that are not all candidates of x, in
// lexicographic order, until it returns true.
template <class Leaf>
bool each_set(const Lists &lists, int32_t x, int32_t y, size_t size, Leaf &&leaf) {
    Nodes first, list, set(size);
    std::vector<size_t> at(size);
    for (int second = 0; second < 2; ++second) {
        const int32_t owner = second ? y : x, other = second ? x : y;
        list.clear();
        for (int64_t p = lists.starts[owner]; p < lists.starts[owner + 1]; ++p)
            if (lists.nodes[p] != other) list.push_back(lists.nodes[p]);
        if (!second) first = list;
        if (list.size() < size) continue;
        if (second && size == 0) continue;
        for (size_t i = 0; i < size; ++i) at[i] = i;
        for (;;) {
            for (size_t i = 0; i < size; ++i) set[i] = list[at[i]];
            if (!(second && std::includes(first.begin(), first.end(), set.begin(), set.end())) && leaf(set.data())) return true;
            size_t i = size;
            while (i > 0 && at[i - 1] == list.size() - size + i - 1) --i;
            if (i == 0) break;
            ++at[i - 1];
            for (size_t j = i; j < size; ++j) at[j] = at[j - 1] + 1;
        }
    }
    return false;
}

template <class Work>
void share(const Data &data, size_t pairs, int threads, Work work) {
    std::atomic<size_t> next{0};
    auto run = [&] {
        Worker worker(data);
        for (size_t p; (p = next.fetch_add(1)) < pairs;) work(worker, p);
    };
    std::vector<std::thread> pool;
    try {
        for (size_t t = 1; t < std::min(size_t(std::max(threads, 1)), pairs); ++t) pool.emplace_back(run);
    } catch (const std::system_error &) {
        // The system gives no more threads: those that started share the work.
    }
    run();
    for (auto &thread : pool) thread.join();
}

void check(bool ok, const char *message) {
    if (!ok) throw std::invalid_argument(message);
}

Lists checked(size_t d, const In<int64_t, 1> &starts, const In<int32_t, 1> &nodes) {
    check(starts.shape(0) == d + 1 && starts.data()[0] == 0 && size_t(starts.data()[d]) == nodes.shape(0),
          "starts must span the nodes");
    for (size_t i = 0; i < d; ++i) check(starts.data()[i] <= starts.data()[i + 1], "starts must ascend");
    for (size_t i = 0; i < nodes.shape(0); ++i)
        check(nodes.data()[i] >= 0 && size_t(nodes.data()[i]) < d, "a candidate is not a node");
    return {starts.data(), nodes.data()};
}

Data checked_data(const In<double, 2> &values, const In<uint64_t, 2> &present, const In<int64_t, 1> &cause_starts,
                  const In<int32_t, 1> &causes, const In<int32_t, 2> &pairs) {
    const size_t d = values.shape(0), n = values.shape(1);
    check(present.shape(0) == d && present.shape(1) == (n + 63) / 64, "present must have one bit per row");
    for (size_t j = 0; n % 64 && j < d; ++j)
        check(present.data()[j * present.shape(1) + n / 64] >> (n % 64) == 0, "a row beyond the last is present");
    check(pairs.shape(1) == 2, "pairs must be (m, 2)");
    for (size_t i = 0; i < 2 * pairs.shape(0); ++i)
        check(pairs.data()[i] >= 0 && size_t(pairs.data()[i]) < d, "a pair names no node");
    return {values.data(), present.data(), d, n, present.shape(1), checked(d, cause_starts, causes)};
}

// One level of PC-stable: every set of `size` candidates of either end, until a p-value exceeds alpha.
void gaps_level(In<double, 2> values, In<uint64_t, 2> present, In<int64_t, 1> cause_starts, In<int32_t, 1> causes,
                In<int64_t, 1> starts, In<int32_t, 1> candidates, In<int32_t, 2> pairs, int size, double alpha,
                int threads, Out<uint8_t, 1> removed, Out<double, 2> numbers, Out<int64_t, 1> rows,
                Out<int32_t, 2> sets, Out<int64_t, 2> tests) {
    const size_t m = pairs.shape(0);
    check(size >= 0, "size must be at least 0");
    const Data data = checked_data(values, present, cause_starts, causes, pairs);
    const Lists lists = checked(data.d, starts, candidates);
    check(removed.shape(0) == m && numbers.shape(0) == m && numbers.shape(1) == 2 && rows.shape(0) == m &&
          sets.shape(0) == m && sets.shape(1) == size_t(size) && tests.shape(0) == m && tests.shape(1) == 2,
          "wrong output shape");
    nb::gil_scoped_release release;
    share(data, m, threads, [&](Worker &worker, size_t p) {
        const int32_t x = pairs.data()[2 * p], y = pairs.data()[2 * p + 1];
        double best = -1;
        removed.data()[p] = each_set(lists, x, y, size_t(size), [&](const int32_t *set) {
            const Answer found = worker.test(x, y, set, size_t(size));
            ++tests.data()[2 * p + !found.possible];
            if (!found.possible || found.p <= best) return false;
            best = found.p;
            numbers.data()[2 * p] = found.p, numbers.data()[2 * p + 1] = found.z, rows.data()[p] = found.n;
            std::copy_n(set, size, sets.data() + p * size_t(size));
            return best > alpha;
        });
    });
}

// For each pair and each of its middle nodes, over all sets of at most `largest` candidates: how many separate the
// pair with and without the middle node, and the largest p-value with and without it.
void gaps_triples(In<double, 2> values, In<uint64_t, 2> present, In<int64_t, 1> cause_starts, In<int32_t, 1> causes,
                  In<int64_t, 1> starts, In<int32_t, 1> candidates, In<int32_t, 2> pairs,
                  In<int64_t, 1> middle_starts, In<int32_t, 1> middles, int largest, double alpha, int threads,
                  Out<int64_t, 2> separating, Out<double, 2> p_value) {
    const size_t m = pairs.shape(0), t = middles.shape(0);
    const Data data = checked_data(values, present, cause_starts, causes, pairs);
    const Lists lists = checked(data.d, starts, candidates);
    check(middle_starts.shape(0) == m + 1 && middle_starts.data()[0] == 0 && size_t(middle_starts.data()[m]) == t,
          "middles do not match pairs");
    for (size_t p = 0; p < m; ++p)
        check(middle_starts.data()[p] <= middle_starts.data()[p + 1], "middle_starts must ascend");
    check(separating.shape(0) == t && separating.shape(1) == 2 && p_value.shape(0) == t && p_value.shape(1) == 2,
          "wrong output shape");
    nb::gil_scoped_release release;
    share(data, m, threads, [&](Worker &worker, size_t p) {
        const int32_t x = pairs.data()[2 * p], y = pairs.data()[2 * p + 1];
        for (size_t size = 0; int64_t(size) <= largest; ++size)
            each_set(lists, x, y, size, [&](const int32_t *set) {
                const Answer found = worker.test(x, y, set, size);
                if (!found.possible) return false;
                for (int64_t q = middle_starts.data()[p]; q < middle_starts.data()[p + 1]; ++q) {
                    const bool without = std::find(set, set + size, middles.data()[q]) == set + size;
                    double &most = p_value.data()[2 * q + without];
                    separating.data()[2 * q + without] += found.p > alpha;
                    most = std::isnan(most) ? found.p : std::max(most, found.p);
                }
                return false;
            });
    });
}

}  // namespace

void bind_skeleton_gaps(nb::module_ &m) {
    m.def("gaps_level", &gaps_level, nb::arg("values"), nb::arg("present"), nb::arg("cause_starts"), nb::arg("causes"),
          nb::arg("starts"), nb::arg("candidates"), nb::arg("pairs"), nb::arg("size"), nb::arg("alpha"),
          nb::arg("threads"), nb::arg("removed"), nb::arg("numbers"), nb::arg("rows"), nb::arg("sets"),
          nb::arg("tests"));
    m.def("gaps_triples", &gaps_triples, nb::arg("values"), nb::arg("present"), nb::arg("cause_starts"),
          nb::arg("causes"), nb::arg("starts"), nb::arg("candidates"), nb::arg("pairs"), nb::arg("middle_starts"),
          nb::arg("middles"), nb::arg("largest"), nb::arg("alpha"), nb::arg("threads"), nb::arg("separating"),
          nb::arg("p_value"));
}
