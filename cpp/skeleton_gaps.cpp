// Partial correlations where values are missing, for the PC-stable search: each test on the rows that have its
// variables, with or without the correction for what decides that values are missing.
#include "pairs.hpp"
#include "small_matrix.hpp"

#include <cmath>

namespace {

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

struct Worker {
    const Data &data;
    Matrix gathered;
    std::vector<uint64_t> bits;
    Nodes rows;
    Subsets sets;

    explicit Worker(const Data &data) : data(data), bits(data.words), sets(data.d) {}

    // Calls leaf(answer) for every set of candidates of this size until it returns true.
    template <class Leaf>
    bool each_set(const Lists &lists, int32_t x, int32_t y, size_t size, Leaf &&leaf) {
        return sets.both(lists, x, y, size, [](size_t, int32_t) {}, [&] { return leaf(test(x, y, sets.set.data(), size)); });
    }

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

Data checked_data(const In<double, 2> &values, const In<uint64_t, 2> &present, const In<int64_t, 1> &cause_starts,
                  const In<int32_t, 1> &causes, const In<int32_t, 2> &pairs) {
    const size_t d = values.shape(0), n = values.shape(1);
    check(present.shape(0) == d && present.shape(1) == (n + 63) / 64, "present must have one bit per row");
    for (size_t j = 0; n % 64 && j < d; ++j)
        check(present.data()[j * present.shape(1) + n / 64] >> (n % 64) == 0, "a row beyond the last is present");
    check_pairs(d, pairs);
    return {values.data(), present.data(), d, n, present.shape(1), checked_lists(d, cause_starts, causes)};
}

// One level of PC-stable: every set of `size` candidates of either end, until a p-value exceeds alpha.
void gaps_level(In<double, 2> values, In<uint64_t, 2> present, In<int64_t, 1> cause_starts, In<int32_t, 1> causes,
                In<int64_t, 1> starts, In<int32_t, 1> candidates, In<int32_t, 2> pairs, int size, double alpha,
                int threads, Out<uint8_t, 1> removed, Out<double, 2> numbers, Out<int64_t, 1> rows,
                Out<int32_t, 2> sets, Out<int64_t, 2> tests) {
    const size_t m = pairs.shape(0);
    check_level(m, size, removed, sets, tests);
    check(numbers.shape(0) == m && numbers.shape(1) == 2 && rows.shape(0) == m, "wrong output shape");
    const Data data = checked_data(values, present, cause_starts, causes, pairs);
    const Lists lists = checked_lists(data.d, starts, candidates);
    nb::gil_scoped_release release;
    share_pairs(m, 1, threads, [&] { return Worker(data); }, [&](Worker &worker, size_t p) {
        double best = -1;
        removed.data()[p] = worker.each_set(lists, pairs.data()[2 * p], pairs.data()[2 * p + 1], size_t(size), [&](const Answer &found) {
            ++tests.data()[2 * p + !found.possible];
            if (!found.possible || found.p <= best) return false;
            best = found.p;
            numbers.data()[2 * p] = found.p, numbers.data()[2 * p + 1] = found.z, rows.data()[p] = found.n;
            std::copy(worker.sets.set.begin(), worker.sets.set.end(), sets.data() + p * size_t(size));
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
    const size_t m = pairs.shape(0);
    check_middles(m, middle_starts, middles, separating, p_value);
    const Data data = checked_data(values, present, cause_starts, causes, pairs);
    const Lists lists = checked_lists(data.d, starts, candidates);
    nb::gil_scoped_release release;
    share_pairs(m, 1, threads, [&] { return Worker(data); }, [&](Worker &worker, size_t p) {
        const int64_t from = middle_starts.data()[p], to = middle_starts.data()[p + 1];
        for (int size = 0; size <= largest; ++size)
            worker.each_set(lists, pairs.data()[2 * p], pairs.data()[2 * p + 1], size_t(size), [&](const Answer &found) {
                if (!found.possible) return false;
                for (int64_t q = from; q < to; ++q) {
                    const bool without = !worker.sets.has(middles.data()[q]);
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
