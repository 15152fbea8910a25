// Greedy equivalence search over CPDAGs, with turns and with the extreme refinement.
//
// Chickering (2002) and Hauser and Buhlmann (2012), see ges_operators.hpp. Nazaret, A. and Blei, D. (2024). Extremely
// greedy equivalence search. Uncertainty in Artificial Intelligence: deletes before turns before inserts, then from
// the end every edge is taken out in turn, barred, and the search goes on from there; it stays where that ends higher.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <map>
#include <tuple>
#include <unordered_set>

#include "ges_operators.hpp"

namespace nb = nanobind;

template <class T, int D>
using In = nb::ndarray<const T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
template <class T, int D>
using Out = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;

namespace {

enum Kind { INSERT, DELETE, TURN };
enum Refine { PLAIN = 0, TURNING = 1, EXTREME = 2, CLIMB = 3 };

class EquivalenceSearch {
  public:
    EquivalenceSearch(const Score &score, const BitRows &may, const BitRows &required, bool constrained,
                      const BitRows *cut, const BitRows &start)
        : d_(score.size), words_(may.words()), may_(may), constrained_(constrained), maker_(score, may, required),
          graph_(d_, cut), lists_(d_), known_(d_), support_(d_, d_) {
        graph_.dag = start;
        graph_.complete();
        BitRows none(1, d_);
        double most = 0.0;
        for (int y = 0; y < d_; ++y)
            for (const auto &[gain, x] : maker_.cache().row(y, none, maker_.least).better) most = std::max(most, gain);
        maker_.least = std::max(maker_.least, 1e-12 * most);
        for (int y = 0; y < d_; ++y) renew(y, true, true, true);
    }

    void run(Refine refine) {
        if (refine == EXTREME) return extreme();
        if (refine == CLIMB) return climb();
        met_.clear();
        for (bool moved = true; moved;) {
            moved = false;
            while (step(INSERT)) moved = true;
            while (step(DELETE)) moved = true;
            if (refine == PLAIN) return;
            while (step(TURN)) moved = true;
        }
    }

    Pdag &graph() { return graph_; }
    size_t steps() const { return steps_; }
    size_t trials() const { return trials_; }
    bool cut() const { return maker_.cut; }

  private:
    void climb() {
        met_.clear();
        while (step(DELETE) || step(TURN) || step(INSERT)) {}
    }

    // Every edge is tried without in every way it can be deleted, the least harmful first, from the start again after
    // each success.
    void extreme() {
        climb();
        std::vector<std::tuple<double, int, Operator, BitRows>> all;
        for (size_t next = 0;; ++next) {
            if (next == 0) {
                all.clear();
                for (int y = 0; y < d_; ++y)
                    for (const Operator &o : lists_[y].deletes) all.push_back({-o.gain, y, o, lists_[y].cliques[o.clique]});
                std::sort(all.begin(), all.end(), [](const auto &a, const auto &b) {
                    return std::tie(std::get<0>(a), std::get<1>(a), std::get<2>(a).x, std::get<2>(a).clique) < std::tie(std::get<0>(b), std::get<1>(b), std::get<2>(b).x, std::get<2>(b).clique);
                });
            }
            if (next >= all.size()) return;
            if (attempt(std::get<1>(all[next]), std::get<2>(all[next]))) next = size_t(-1);
        }
    }

    // Takes the edge out and goes on without it; everything is as before unless that ends higher.
    bool attempt(int y, const Operator &o) {
        ++trials_;
        const Pdag before = graph_;
        const double total = total_;
        const std::vector<size_t> known = known_;
        const BitRows support = support_;
        saved_.clear();
        met_.clear();
        trying_ = true;
        barred_ = {y, o.x};
        const bool done = apply(DELETE, y, o);
        if (done) climb();
        trying_ = false;
        barred_ = {-1, -1};
        if (done && total_ > total + maker_.least && kept_.insert(graph_.print()).second) {
            climb();
            return true;
        }
        graph_ = before;
        total_ = total;
        known_ = known;
        support_ = support;
        for (auto &[v, list] : saved_) std::swap(lists_[v], list);
        return false;
    }

    static std::vector<Operator> &of(Kind kind, Operators &all) {
        return kind == INSERT ? all.inserts : kind == DELETE ? all.deletes : all.turns;
    }

    // Makes the valid change of this kind that gains most; false when none gains.
    bool step(Kind kind) {
        heads_.clear();
        for (int y = 0; y < d_; ++y) {
            const auto &all = of(kind, lists_[y]);
            const size_t first = kind == INSERT ? known_[y] : 0;
            if (first < all.size() && all[first].gain > maker_.least) heads_.push_back({all[first].gain, -y, int(first)});
        }
        std::make_heap(heads_.begin(), heads_.end());
        while (!heads_.empty()) {
            std::pop_heap(heads_.begin(), heads_.end());
            const int y = -std::get<1>(heads_.back()), k = std::get<2>(heads_.back());
            heads_.pop_back();
            auto &all = of(kind, lists_[y]);
            if (valid(kind, y, all[k])) {
                if (apply(kind, y, all[k])) return true;
            } else if (kind == INSERT && size_t(k) == known_[y] && !all[k].path.empty()) {
                ++known_[y];  // as long as its path stands
                for (int32_t v : all[k].path) support_.set(y, v);
            }
            if (size_t(k) + 1 < all.size() && all[k + 1].gain > maker_.least) {
                heads_.push_back({all[k + 1].gain, -y, k + 1});
                std::push_heap(heads_.begin(), heads_.end());
            }
        }
        return false;
    }

    bool valid(Kind kind, int y, Operator &o) {
        if (kind == DELETE) return true;
        if (kind == INSERT && barred_.first == y && barred_.second == o.x) {
            o.path.clear();
            return false;
        }
        if (kind == TURN && graph_.ne.has(y, o.x)) return true;
        BitRows blocked = lists_[y].cliques[o.clique];
        if (kind == TURN)
            for (int w = 0; w < words_; ++w) blocked[0][w] |= graph_.ne[o.x][w];
        if (graph_.stands(o.path, blocked[0])) return false;
        o.path.clear();
        return !graph_.reaches(y, o.x, blocked[0], o.path);
    }

    bool apply(Kind kind, int y, const Operator &o) {
        const int x = o.x;
        const double gain = o.gain;
        before_ = graph_;
        const BitRows &clique = lists_[y].cliques[o.clique];
        const bool made = kind == INSERT   ? maker_.insert(graph_, y, x, clique)
                          : kind == DELETE ? maker_.remove(graph_, y, x, clique)
                                           : maker_.turn(graph_, y, x, clique);
        if (!made) return false;
        graph_.complete();
        // With a score that gives members of a class different values a climb could go round in circles.
        if ((constrained_ && !graph_.agrees(may_)) || !met_.insert(graph_.print()).second) {
            std::swap(graph_, before_);
            return false;
        }
        total_ += gain;
        ++steps_;
        refresh(y, x);
        return true;
    }

    void renew(int y, bool inserts, bool deletes, bool turns) {
        if (inserts) maker_.inserts(graph_, y, lists_[y]);
        if (deletes) maker_.deletes(graph_, y, lists_[y]);
        if (turns) maker_.turns(graph_, y, lists_[y]);
    }

    // Makes the lists anew that the change from before_ to graph_ at the pair (a, b) concerns.
    void refresh(int a, int b) {
        BitRows into(1, d_), turns(1, d_), lost(1, d_);  // into: those whose parents or neighbours changed
        const bool pair = graph_.adj.has(a, b) != before_.adj.has(a, b);
        for (int v = 0; v < d_; ++v) {
            const bool in = v == a || v == b || any(words_, [&](int w) {
                return (graph_.pa[v][w] ^ before_.pa[v][w]) | (graph_.ne[v][w] ^ before_.ne[v][w]);
            });
            if (!in && !any(words_, [&](int w) { return graph_.ch[v][w] ^ before_.ch[v][w]; })) continue;
            if (any(words_, [&](int w) {
                    return (before_.ne[v][w] | before_.ch[v][w]) & ~(graph_.ne[v][w] | graph_.ch[v][w]);
                })) lost.set(0, v);
            if (in) into.set(0, v);
            turns.set(0, v);
            for (int w = 0; w < words_; ++w) turns[0][w] |= graph_.pa[v][w] | graph_.ne[v][w];
        }
        for (int y = 0; y < d_; ++y) {
            const bool in = into.has(0, y);
            const bool inserts = in || (pair && (graph_.ne.has(y, a) || graph_.ne.has(y, b)));
            const bool deletes = in || (pair && graph_.adj.has(y, a) && graph_.adj.has(y, b));
            if (inserts || any(words_, [&](int w) { return support_[y][w] & lost[0][w]; })) {
                known_[y] = 0;
                std::fill_n(support_[y], words_, 0);
            }
            if (!inserts && !deletes && !turns.has(0, y)) continue;
            if (trying_ && !saved_.count(y)) saved_[y] = lists_[y];
            renew(y, inserts, deletes, turns.has(0, y));
        }
    }

    const int d_, words_;
    const BitRows &may_;
    const bool constrained_;
    OperatorMaker maker_;
    Pdag graph_, before_{0};
    std::vector<Operators> lists_;
    std::map<int, Operators> saved_;
    std::vector<size_t> known_;  // by variable: how many of its first inserts have a path that makes them invalid,
    BitRows support_;            // and the variables on these paths
    std::vector<std::tuple<double, int, int>> heads_;
    std::unordered_set<uint64_t> met_, kept_;  // classes met in this climb, and those that attempts led to
    std::pair<int, int> barred_{-1, -1};
    bool trying_ = false;
    double total_ = 0.0;
    size_t steps_ = 0, trials_ = 0;
};

}  // namespace

// may, required: (d, d) by child. targets: (m, d), a row for each set of variables that were intervened on together.
// start: (d, d) by child, a DAG with the required arrows and only arrows that may be. marks: (d, d), zeroed by the
// caller; 1 at [i, j] for a tail at i and an arrow or a tail at j (so i --- j has both). Returns the steps made, the edges
// tried without, and whether a variable had more cliques among its neighbours than are looked at.
static nb::tuple ges(const Score &score, In<uint8_t, 2> may, In<uint8_t, 2> required, In<uint8_t, 2> targets,
                     In<uint8_t, 2> start, int refine, Out<uint8_t, 2> out) {
    const int d = score.size;
    for (const auto *square : {&may, &required, &start})
        if (int(square->shape(0)) != d || int(square->shape(1)) != d) throw std::invalid_argument("constraints are (d, d)");
    if (int(out.shape(0)) != d || int(out.shape(1)) != d) throw std::invalid_argument("wrong shape of out");
    if (int(targets.shape(1)) != d) throw std::invalid_argument("targets have a column per variable");
    if (refine < PLAIN || refine > CLIMB) throw std::invalid_argument("refine is 0, 1, 2 or 3");
    BitRows allowed(d, d), held(d, d), first(d, d), cut(d, d);
    bool constrained = false;
    for (int y = 0; y < d; ++y)
        for (int z = 0; z < d; ++z) {
            const size_t at = size_t(y) * d + z;
            if (may.data()[at] && y != z) allowed.set(y, z);
            else constrained |= y != z;
            if (required.data()[at]) held.set(y, z), constrained = true;
            if (start.data()[at]) first.set(y, z);
        }
    for (size_t m = 0; m < targets.shape(0); ++m)
        for (int y = 0; y < d; ++y)
            for (int z = 0; z < d; ++z)
                if (targets.data()[m * d + y] && !targets.data()[m * d + z]) cut.set(y, z), cut.set(z, y);
    size_t steps, trials;
    bool cliques_cut;
    {
        nb::gil_scoped_release release;
        EquivalenceSearch search(score, allowed, held, constrained, targets.shape(0) ? &cut : nullptr, first);
        search.run(Refine(refine));
        const Pdag &found = search.graph();
        for (int i = 0; i < d; ++i)
            for (int j = 0; j < d; ++j)
                if (found.ch.has(i, j) || found.ne.has(i, j)) out.data()[size_t(i) * d + j] = 1;
        steps = search.steps(), trials = search.trials(), cliques_cut = search.cut();
    }
    return nb::make_tuple(steps, trials, cliques_cut);
}

void bind_ges(nb::module_ &m) {
    m.def("ges", &ges, nb::arg("score"), nb::arg("may"), nb::arg("required"), nb::arg("targets"), nb::arg("start"),
          nb::arg("refine"), nb::arg("out"));
}
