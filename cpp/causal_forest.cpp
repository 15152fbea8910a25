// Honest causal forest (Athey, Tibshirani and Wager 2019, Annals of Statistics 47, sections 2, 4 and 6).
//
// Outcome and treatment come with their expectations given the covariates taken out. Each tree grows on one half of its
// rows and holds the averages of the other half in its leaves; trees come in groups that share a random half of the
// data, and the spread between groups gives the variance of a prediction (a bootstrap of little bags).
#include <cmath>
#include <numeric>

#include "pairs.hpp"

namespace {

struct Setup {
    size_t n, p, clusters, mtry, least, group_size;
    double alpha;
    const double *x, *y, *w;              // x: (p, n)
    const int32_t *cluster;               // (n,)
    std::vector<std::vector<int32_t>> rank;  // of each column: its rows in ascending order
};

struct Random {  // splitmix64: small, and the same on every machine
    uint64_t state;
    uint64_t next() {
        uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    size_t below(size_t m) { return size_t((unsigned __int128)(next()) * m >> 64); }
    // The first k of `items` become a random subset of them, in random order.
    void shuffle(std::vector<int32_t> &items, size_t k) {
        for (size_t i = 0; i < k; ++i) std::swap(items[i], items[i + below(items.size() - i)]);
    }
};

struct Node {
    int32_t feature = -1, left = -1, right = -1;
    double threshold = 0.0;
    double rows = 0.0, y = 0.0, w = 0.0, wy = 0.0, ww = 0.0;  // sums over the honest rows, averages at the end
};

using Tree = std::vector<Node>;

struct Grower {
    const Setup &s;
    std::vector<std::vector<int32_t>> order;  // of each column: rows of the growing half, ascending, split by node
    std::vector<int32_t> scratch, columns;
    std::vector<char> mark, growing, honest;
    std::vector<double> rho;

    explicit Grower(const Setup &s_)
        : s(s_), order(s_.p), columns(s_.p), mark(s_.n), growing(s_.n), honest(s_.n), rho(s_.n) {}

    Tree grow(Random &random, std::vector<int32_t> drawn, const std::vector<std::vector<int32_t>> &members) {
        random.shuffle(drawn, drawn.size());  // of the clusters drawn, the first half grows, the second is held
        growing.assign(s.n, 0), honest.assign(s.n, 0);
        for (size_t c = 0; c < drawn.size(); ++c)
            for (int32_t i : members[size_t(drawn[c])]) (c < drawn.size() / 2 ? growing : honest)[size_t(i)] = 1;
        for (size_t j = 0; j < s.p; ++j) {
            order[j].clear();
            for (int32_t i : s.rank[j]) if (growing[size_t(i)]) order[j].push_back(i);
        }
        std::iota(columns.begin(), columns.end(), 0);
        Tree tree(1);
        split(tree, 0, 0, order[0].size(), 0, random);
        hold(tree);
        prune(tree, 0);
        for (Node &a : tree)
            if (a.feature < 0 && a.rows > 0) a.y /= a.rows, a.w /= a.rows, a.wy /= a.rows, a.ww /= a.rows;
        return tree;
    }

    void split(Tree &tree, size_t at, size_t from, size_t to, int depth, Random &random) {
        const size_t size = to - from;
        if (size < 2 * s.least || depth > 60) return;
        const std::vector<int32_t> &rows = order[0];
        double w = 0, y = 0, ww = 0, wy = 0;
        for (size_t k = from; k < to; ++k) w += s.w[rows[k]], y += s.y[rows[k]];
        w /= double(size), y /= double(size);
        for (size_t k = from; k < to; ++k) {
            const double dw = s.w[rows[k]] - w;
            ww += dw * dw, wy += dw * (s.y[rows[k]] - y);
        }
        if (!(ww > 1e-12 * double(size))) return;
        const double tau = wy / ww;  // pseudo-outcomes: the influence of each row on the node's effect (section 2.3)
        for (size_t k = from; k < to; ++k) {
            const double dw = s.w[rows[k]] - w;
            rho[size_t(rows[k])] = dw * (s.y[rows[k]] - y - tau * dw);
        }
        const size_t tried = std::min(s.mtry, s.p);
        random.shuffle(columns, tried);
        double best = 0.0;
        size_t best_place = 0;
        int32_t best_column = -1;
        for (size_t c = 0; c < tried; ++c) scan(columns[c], from, to, w, ww, best, best_column, best_place);
        if (best_column < 0) return;
        const std::vector<int32_t> &by = order[size_t(best_column)];
        const double *x = s.x + size_t(best_column) * s.n;
        const double low = x[by[best_place]], high = x[by[best_place + 1]];
        double threshold = low + 0.5 * (high - low);
        if (!(threshold < high)) threshold = low;
        for (size_t k = from; k < to; ++k) mark[size_t(by[k])] = k <= best_place;
        for (size_t j = 0; j < s.p; ++j) part(order[j], from, to);
        const int32_t left = int32_t(tree.size());
        tree.resize(tree.size() + 2);
        tree[at].feature = best_column, tree[at].threshold = threshold;
        tree[at].left = left, tree[at].right = left + 1;
        split(tree, size_t(left), from, best_place + 1, depth + 1, random);
        split(tree, size_t(left) + 1, best_place + 1, to, depth + 1, random);
    }

    // The best place to cut one column: the largest spread of mean pseudo-outcomes, with enough rows, enough variation
    // of the treatment, and treated and untreated on both sides.
    void scan(int32_t column, size_t from, size_t to, double w, double ww, double &best, int32_t &best_column,
              size_t &best_place) const {
        const std::vector<int32_t> &by = order[size_t(column)];
        const double *x = s.x + size_t(column) * s.n;
        const size_t size = to - from, fewest = std::max(s.least, size_t(std::ceil(s.alpha * double(size))));
        double total = 0.0;
        size_t above = 0;
        for (size_t k = from; k < to; ++k) total += rho[size_t(by[k])], above += s.w[by[k]] > w;
        double left = 0.0, left_ww = 0.0;
        size_t left_above = 0;
        for (size_t k = from; k + 1 < to; ++k) {
            const int32_t i = by[k];
            const double dw = s.w[i] - w;
            left += rho[size_t(i)], left_ww += dw * dw, left_above += s.w[i] > w;
            const size_t a = k + 1 - from, b = size - a;
            if (a < fewest || b < fewest || x[i] == x[by[k + 1]]) continue;
            const size_t right_above = above - left_above;
            if (left_above < s.least || a - left_above < s.least || right_above < s.least || b - right_above < s.least)
                continue;
            if (left_ww < s.alpha * ww || ww - left_ww < s.alpha * ww) continue;
            const double right = total - left, gain = left * left / double(a) + right * right / double(b);
            if (gain > best) best = gain, best_column = column, best_place = k;
        }
    }

    // Marked rows first, both parts in the order they had.
    void part(std::vector<int32_t> &rows, size_t from, size_t to) {
        scratch.clear();
        size_t put = from;
        for (size_t k = from; k < to; ++k) {
            if (mark[size_t(rows[k])]) rows[put++] = rows[k];
            else scratch.push_back(rows[k]);
        }
        std::copy(scratch.begin(), scratch.end(), rows.begin() + ptrdiff_t(put));
    }

    void hold(Tree &tree) const {
        for (size_t i = 0; i < s.n; ++i) {
            if (!honest[i]) continue;
            Node &leaf = tree[find(tree, s.x + i, s.n)];
            leaf.rows += 1, leaf.y += s.y[i], leaf.w += s.w[i], leaf.wy += s.w[i] * s.y[i], leaf.ww += s.w[i] * s.w[i];
        }
    }

    // Leaves without honest rows give way to their siblings. True when the node holds any.
    static bool prune(Tree &tree, size_t at) {
        if (tree[at].feature < 0) return tree[at].rows > 0;
        const size_t l = size_t(tree[at].left), r = size_t(tree[at].right);
        const bool left = prune(tree, l), right = prune(tree, r);
        if (left != right) tree[at] = Node(tree[left ? l : r]);
        return left || right;
    }

    static size_t find(const Tree &tree, const double *row, size_t stride) {
        size_t at = 0;
        while (tree[at].feature >= 0)
            at = size_t(row[size_t(tree[at].feature) * stride] <= tree[at].threshold ? tree[at].left : tree[at].right);
        return at;
    }
};

struct Forest {
    std::vector<Tree> trees;               // group by group
    std::vector<std::vector<char>> drawn;  // of each group: whether a row is in its half
};

Forest grow_all(const Setup &s, size_t groups, uint64_t seed, int threads) {
    Forest forest;
    forest.trees.resize(groups * s.group_size), forest.drawn.resize(groups);
    std::vector<std::vector<int32_t>> members(s.clusters);
    for (size_t i = 0; i < s.n; ++i) members[size_t(s.cluster[i])].push_back(int32_t(i));
    share_pairs(groups, 1, threads, [&] { return Grower(s); }, [&](Grower &grower, size_t g) {
        Random random{seed + 0x632be59bd9b4e019ULL * (g + 1)};
        random.next();
        std::vector<int32_t> half(s.clusters);
        std::iota(half.begin(), half.end(), 0);
        random.shuffle(half, s.clusters / 2);
        half.resize(s.clusters / 2);
        forest.drawn[g].assign(s.n, 0);
        for (int32_t c : half) for (int32_t i : members[size_t(c)]) forest.drawn[g][size_t(i)] = 1;
        for (size_t b = 0; b < s.group_size; ++b)
            forest.trees[g * s.group_size + b] = grower.grow(random, half, members);
    });
    return forest;
}

// One prediction with its variance; NaN where no tree can speak. own: the row of the training data, or -1.
void predict_one(const Forest &forest, size_t group_size, const double *row, size_t stride, int64_t own,
                 std::vector<const Node *> &leaves, double &effect, double &variance) {
    leaves.assign(forest.trees.size(), nullptr);
    Node all;
    size_t speaking = 0;
    for (size_t b = 0; b < forest.trees.size(); ++b) {
        if (own >= 0 && forest.drawn[b / group_size][size_t(own)]) continue;
        const Node &leaf = forest.trees[b][Grower::find(forest.trees[b], row, stride)];
        if (!(leaf.rows > 0)) continue;
        leaves[b] = &leaf;
        all.y += leaf.y, all.w += leaf.w, all.wy += leaf.wy, all.ww += leaf.ww;
        ++speaking;
    }
    effect = variance = std::nan("");
    if (speaking == 0) return;
    const double k = double(speaking), y = all.y / k, w = all.w / k, wy = all.wy / k, ww = all.ww / k;
    const double spread = ww - w * w;
    if (!(spread > 1e-10)) return;
    effect = (wy - w * y) / spread;
    // Little bags (section 4.1): the influence of each tree on the estimate, its spread between groups less what the
    // spread within them leaves of it.
    const double base = y - effect * w;
    double between = 0.0, total = 0.0;
    size_t good = 0;
    for (size_t g = 0; g < forest.drawn.size(); ++g) {
        double mean = 0.0, square = 0.0;
        bool whole = true;
        for (size_t b = g * group_size; b < (g + 1) * group_size; ++b) {
            if (!(whole = leaves[b] != nullptr)) break;
            const Node &leaf = *leaves[b];
            const double one = leaf.wy - leaf.w * base - leaf.ww * effect, zero = leaf.y - base - leaf.w * effect;
            const double value = (one - w * zero) / spread;
            mean += value, square += value * value;
        }
        if (whole) mean /= double(group_size), between += mean * mean, total += square / double(group_size), ++good;
    }
    if (good < 2) return;
    between /= double(good), total /= double(good);
    const double noise = (total - between) / double(group_size - 1);
    // Positive by a flat prior on the positive half line, as the difference may come out negative.
    const double raw = between - noise, error = std::max(between, noise) * std::sqrt(2.0 / double(good));
    if (!(error > 0)) { variance = std::max(raw, 0.0); return; }
    const double ratio = raw / error;
    const double tail = 0.5 * std::erfc(-ratio / std::sqrt(2.0));
    const double bump = std::exp(-0.5 * ratio * ratio) / std::sqrt(2.0 * 3.14159265358979323846);
    variance = tail > 1e-300 ? raw + error * bump / tail : error / std::max(-ratio, 1.0);
}

}  // namespace

// x: (p, n), y and w: (n,), residuals; cluster: (n,), 0 .. clusters - 1; query: (p, m), or (p, 0) for the rows
// themselves, each then by the trees that did not see it. effect, variance: (m,) or (n,).
static void causal_forest(In<double, 2> x, In<double, 1> y, In<double, 1> w, In<int32_t, 1> cluster, int64_t clusters,
                          In<double, 2> query, int64_t trees, int64_t group_size, int64_t mtry, int64_t least,
                          double alpha, uint64_t seed, int threads, Out<double, 1> effect, Out<double, 1> variance) {
    Setup s{x.shape(1), x.shape(0), size_t(clusters), size_t(mtry), size_t(least), size_t(group_size), alpha,
            x.data(), y.data(), w.data(), cluster.data(), {}};
    const bool own = query.shape(1) == 0;
    const size_t m = own ? s.n : query.shape(1);
    check(s.p >= 1 && y.shape(0) == s.n && w.shape(0) == s.n && cluster.shape(0) == s.n, "rows do not match");
    check(query.shape(0) == s.p && effect.shape(0) == m && variance.shape(0) == m, "wrong output shape");
    check(clusters >= 4 && group_size >= 2 && trees >= group_size && mtry >= 1 && least >= 1, "a setting is too small");
    for (size_t i = 0; i < s.n; ++i)
        check(s.cluster[i] >= 0 && s.cluster[i] < clusters, "a cluster is out of range");
    nb::gil_scoped_release release;
    s.rank.resize(s.p);
    for (size_t j = 0; j < s.p; ++j) {
        s.rank[j].resize(s.n);
        for (size_t i = 0; i < s.n; ++i) s.rank[j][i] = int32_t(i);
        const double *column = s.x + j * s.n;
        std::stable_sort(s.rank[j].begin(), s.rank[j].end(),
                         [&](int32_t a, int32_t b) { return column[a] < column[b]; });
    }
    const Forest forest = grow_all(s, size_t(trees) / s.group_size, seed, threads);
    const double *rows = own ? s.x : query.data();
    using Leaves = std::vector<const Node *>;
    share_pairs(m, 64, threads, [&] { return Leaves(); }, [&](Leaves &leaves, size_t i) {
        predict_one(forest, s.group_size, rows + i, m, own ? int64_t(i) : -1, leaves, effect.data()[i],
                    variance.data()[i]);
    });
}

void bind_causal_forest(nb::module_ &m) {
    m.def("causal_forest", &causal_forest, nb::arg("x"), nb::arg("y"), nb::arg("w"), nb::arg("cluster"),
          nb::arg("clusters"), nb::arg("query"), nb::arg("trees"), nb::arg("group_size"), nb::arg("mtry"),
          nb::arg("least"), nb::arg("alpha"), nb::arg("seed"), nb::arg("threads"), nb::arg("effect"),
          nb::arg("variance"));
}
