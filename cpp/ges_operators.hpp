// The operators of greedy equivalence search and what they gain, one list per variable.
//
// Insert and Delete: Chickering, D. M. (2002). Optimal structure identification with greedy search. Journal of
// Machine Learning Research 3:507-554, theorems 15 and 17. Turn: Hauser, A. and Buhlmann, P. (2012).
// Characterization and greedy learning of interventional Markov equivalence classes of directed acyclic graphs.
// Journal of Machine Learning Research 13:2409-2464, propositions 31 and 34.
//
// In all of them y is the child and its parents in the member that is changed are its parents in the CPDAG and a
// clique among its undirected neighbours: Insert has that clique as NA and T, Delete as NA without H.
#pragma once

#include <algorithm>
#include <unordered_map>

#include "pdag.hpp"
#include "score.hpp"

struct Operator {
    double gain;
    int32_t x, clique;
    std::vector<int32_t> path;  // a path that made it invalid when last looked at
};

struct Operators {
    std::vector<BitRows> cliques;  // of the undirected neighbours, the empty one first
    std::vector<Operator> inserts, deletes, turns;
};

// Scores by variable and parents, each computed once.
class ScoreCache {
  public:
    struct Row {
        std::vector<std::pair<double, int32_t>> better;  // what each variable that helps gains, best first
    };

    ScoreCache(const Score &score, int words)
        : score_(score), words_(words), values_(score.size), locals_(score.size), rows_(score.size) {}

    double local(int y, const BitRows &set) {
        key_.assign(set[0], set[0] + words_);
        const auto [found, fresh] = locals_[y].try_emplace(key_, 0.0);
        if (fresh) {
            list(set);
            found->second = score_.local(y, parents_.data(), int(parents_.size()), scratch_);
        }
        return found->second;
    }

    const Row &row(int y, const BitRows &set, double least) {
        key_.assign(set[0], set[0] + words_);
        const auto [found, fresh] = rows_[y].try_emplace(key_);
        if (fresh) {
            const double base = local(y, set);
            list(set);
            score_.additions(y, parents_.data(), int(parents_.size()), base + least, values_.data(), scratch_);
            auto &better = found->second.better;
            for (int z = 0; z < score_.size; ++z)
                if (values_[z] - base > least) better.push_back({values_[z] - base, z});
            std::sort(better.begin(), better.end(), [](const auto &a, const auto &b) {
                return a.first != b.first ? a.first > b.first : a.second < b.second;
            });
            better.shrink_to_fit();
        }
        return found->second;
    }

  private:
    using Key = std::vector<uint64_t>;
    struct Hash {
        size_t operator()(const Key &key) const {
            uint64_t h = 0x9e3779b97f4a7c15;
            for (uint64_t word : key) h = (h ^ word) * 0xff51afd7ed558ccd, h ^= h >> 32;
            return size_t(h);
        }
    };

    void list(const BitRows &set) {
        parents_.clear();
        each(words_, [&](int w) { return set[0][w]; }, [&](int z) { parents_.push_back(z); });
    }

    const Score &score_;
    const int words_;
    Scratch scratch_;
    std::vector<double> values_;
    std::vector<int32_t> parents_;
    Key key_;
    std::vector<std::unordered_map<Key, double, Hash>> locals_;  // by variable
    std::vector<std::unordered_map<Key, Row, Hash>> rows_;
};

class OperatorMaker {
  public:
    // may, required: by child.
    OperatorMaker(const Score &score, const BitRows &may, const BitRows &required)
        : may_(may), required_(required), d_(score.size), words_(may.words()), set_(1, d_), cache_(score, words_) {}

    double least = 1e-7;  // gains up to this are rounding
    bool cut = false;     // whether a variable had more cliques than are looked at
    ScoreCache &cache() { return cache_; }

    void inserts(const Pdag &g, int y, Operators &out) {
        cliques(g, y, out);
        out.inserts.clear();
        for (size_t k = 0; k < out.cliques.size(); ++k) {
            const uint64_t *c = out.cliques[k][0];
            for (const auto &[gain, x] : cache_.row(y, joined(g.pa[y], c), least).better) {
                if (g.adj.has(y, x) || (!may_.has(y, x) && !may_.has(x, y))) continue;
                if (any(words_, [&](int w) { return g.ne[y][w] & g.adj[x][w] & ~c[w]; })) continue;
                out.inserts.push_back({gain, x, int32_t(k), {}});
            }
        }
        best_first(out.inserts);
    }

    void deletes(const Pdag &g, int y, Operators &out) {
        cliques(g, y, out);
        out.deletes.clear();
        for (size_t k = 0; k < out.cliques.size(); ++k) {
            const uint64_t *c = out.cliques[k][0];
            BitRows &set = joined(g.pa[y], c);
            const double base = cache_.local(y, set);
            each(words_, [&](int w) { return g.pa[y][w] | (g.ne[y][w] & ~c[w]); }, [&](int x) {
                if (required_.has(y, x) || required_.has(x, y)) return;
                if (any(words_, [&](int w) { return c[w] & ~g.adj[x][w]; })) return;
                // With a parent x the set holds it already, without a neighbour it does not.
                const bool parent = g.pa.has(y, x);
                if (parent) set.unset(0, x);
                else set.set(0, x);
                const double other = cache_.local(y, set);
                out.deletes.push_back({parent ? other - base : base - other, x, int32_t(k), {}});
                if (parent) set.set(0, x);
                else set.unset(0, x);
            });
        }
        best_first(out.deletes);
    }

    void turns(const Pdag &g, int y, Operators &out) {
        cliques(g, y, out);
        out.turns.clear();
        bases_.assign(out.cliques.size(), std::numeric_limits<double>::quiet_NaN());
        each(words_, [&](int w) { return g.ch[y][w] | g.ne[y][w]; }, [&](int x) {
            if (!may_.has(y, x) || required_.has(x, y)) return;
            const bool directed = g.ch.has(y, x);
            const double lost = directed ? without(g, x, y, nullptr) : 0.0;
            for (size_t k = 0; k < out.cliques.size(); ++k) {
                const uint64_t *c = out.cliques[k][0];
                if (directed ? any(words_, [&](int w) { return g.ne[y][w] & g.adj[x][w] & ~c[w]; })
                             : has(c, x) || !separated(g, y, x, c)) continue;
                BitRows &set = joined(g.pa[y], c);
                if (std::isnan(bases_[k])) bases_[k] = cache_.local(y, set);
                set.set(0, x);
                double gain = cache_.local(y, set) - bases_[k];
                gain += directed ? lost : without(g, x, y, c);
                if (gain > least) out.turns.push_back({gain, x, int32_t(k), {}});
            }
        });
        best_first(out.turns);
    }

    // Changes the member, not yet the CPDAG; false when no member has the parents that the operator needs.
    bool insert(Pdag &g, int y, int x, const BitRows &clique) const {
        if (!g.arrange({{y, clique[0]}})) return false;
        g.dag.set(y, x);
        return true;
    }

    bool remove(Pdag &g, int y, int x, const BitRows &clique) const {
        BitRows parents = clique;
        if (g.ne.has(y, x)) parents.set(0, x);
        if (!g.arrange({{y, parents[0]}})) return false;
        g.dag.unset(y, x);
        return true;
    }

    bool turn(Pdag &g, int y, int x, const BitRows &clique) const {
        BitRows other(1, d_);
        if (g.ne.has(y, x)) {
            for (int w = 0; w < words_; ++w) other[0][w] = clique[0][w] & g.adj[x][w];
            other.set(0, y);
        }
        if (!g.arrange({{y, clique[0]}, {x, other[0]}})) return false;
        g.dag.unset(x, y), g.dag.set(y, x);
        return true;
    }

  private:
    static constexpr size_t MOST = 2048;

    static bool has(const uint64_t *set, int i) { return set[i >> 6] >> (i & 63) & 1; }

    // What x gains when y is no parent of it any more; c, where given, is the clique at y: its part beside x stays.
    double without(const Pdag &g, int x, int y, const uint64_t *c) {
        for (int w = 0; w < words_; ++w) set_[0][w] = g.pa[x][w] | (c ? c[w] & g.adj[x][w] : 0);
        set_.set(0, y);
        const double now = cache_.local(x, set_);
        set_.unset(0, y);
        return cache_.local(x, set_) - now;
    }

    BitRows &joined(const uint64_t *a, const uint64_t *b) {
        for (int w = 0; w < words_; ++w) set_[0][w] = a[w] | b[w];
        return set_;
    }

    static void best_first(std::vector<Operator> &all) {
        std::sort(all.begin(), all.end(), [](const Operator &a, const Operator &b) {
            if (a.gain != b.gain) return a.gain > b.gain;
            return a.x != b.x ? a.x < b.x : a.clique < b.clique;
        });
    }

    // Proposition 34 (iii): among the neighbours of y, the clique's part beside x keeps the rest of the clique, of
    // which there must be some, from the other neighbours of x.
    bool separated(const Pdag &g, int y, int x, const uint64_t *c) const {
        BitRows seen(1, d_);
        std::vector<int> line;
        each(words_, [&](int w) { return c[w] & ~g.adj[x][w]; }, [&](int v) { seen.set(0, v), line.push_back(v); });
        if (line.empty()) return false;
        for (size_t at = 0; at < line.size(); ++at) {
            const uint64_t *near = g.ne[line[at]];
            if (g.adj.has(line[at], x) && line[at] != x) return false;
            each(words_, [&](int w) { return near[w] & g.ne[y][w] & ~seen[0][w] & ~(c[w] & g.adj[x][w]); },
                 [&](int v) { if (v != x) seen.set(0, v), line.push_back(v); });
        }
        return true;
    }

    void cliques(const Pdag &g, int y, Operators &out) {
        out.cliques.assign(1, BitRows(1, d_));
        std::vector<BitRows> wider(1, BitRows(1, d_));  // what may join each clique: later neighbours, adjacent to all
        for (int w = 0; w < words_; ++w) wider[0][0][w] = g.ne[y][w];
        for (size_t k = 0; k < out.cliques.size(); ++k) {
            const BitRows may = wider[k];
            each(words_, [&](int w) { return may[0][w]; }, [&](int z) {
                if (out.cliques.size() >= MOST) { cut = true; return; }
                out.cliques.push_back(out.cliques[k]);
                out.cliques.back().set(0, z);
                wider.push_back(BitRows(1, d_));
                for (int w = 0; w < words_; ++w) {
                    const uint64_t later = w < z >> 6 ? 0 : w > z >> 6 ? ~uint64_t(0) : ~uint64_t(0) << (z & 63) << 1;
                    wider.back()[0][w] = may[0][w] & g.adj[z][w] & later;
                }
            });
        }
    }

    const BitRows &may_, &required_;
    const int d_, words_;
    BitRows set_;
    std::vector<double> bases_;
    ScoreCache cache_;
};
