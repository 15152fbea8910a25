// A class of DAGs as its CPDAG, or with interventions as its essential graph, kept with one of its members, in bit sets.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

// One bit set per variable, or a single one where rows is 1.
class BitRows {
  public:
    BitRows(int rows = 0, int d = 0) : words_((d + 63) / 64), bits_(size_t(rows) * words_, 0) {}
    uint64_t *operator[](int i) { return &bits_[size_t(i) * words_]; }
    const uint64_t *operator[](int i) const { return &bits_[size_t(i) * words_]; }
    bool has(int i, int j) const { return (*this)[i][j >> 6] >> (j & 63) & 1; }
    void set(int i, int j) { (*this)[i][j >> 6] |= uint64_t(1) << (j & 63); }
    void unset(int i, int j) { (*this)[i][j >> 6] &= ~(uint64_t(1) << (j & 63)); }
    void clear() { std::fill(bits_.begin(), bits_.end(), 0); }
    int words() const { return words_; }

  private:
    int words_;
    std::vector<uint64_t> bits_;
};

// call(j) for every j in the set that value(w), its words, describe.
template <class Value, class Call>
void each(int words, Value value, Call call) {
    for (int w = 0; w < words; ++w)
        for (uint64_t left = value(w); left; left &= left - 1) call(w * 64 + __builtin_ctzll(left));
}

template <class Value>
bool any(int words, Value value) {
    for (int w = 0; w < words; ++w)
        if (value(w)) return true;
    return false;
}

// The parents that a variable is to have inside its chain component; its other neighbours become children.
struct Forced {
    int child;
    const uint64_t *parents;
};

class Pdag {
  public:
    // cut, where given: the pairs of which an intervention has exactly one, so that it tells which way an edge runs.
    explicit Pdag(int d, const BitRows *cut = nullptr)
        : pa(d, d), ch(d, d), ne(d, d), adj(d, d), dag(d, d), d_(d), words_(pa.words()), cut_(cut) {}

    BitRows pa, ch, ne, adj;  // of the CPDAG: parents, children, neighbours by undirected edges, all of them
    BitRows dag;              // parents in a member

    // The CPDAG of the member: its colliders, closed under Meek's rules. With interventions its essential graph, which
    // has the arrows that they cut beside (Hauser and Buhlmann 2012, theorem 10).
    void complete() {
        for (BitRows *rows : {&pa, &ch, &ne, &adj}) rows->clear();
        for (int c = 0; c < d_; ++c) row(dag, c, [&](int a) { adj.set(a, c), adj.set(c, a); });
        queue_.clear();
        for (int c = 0; c < d_; ++c) {
            const uint64_t *all = dag[c];
            row(dag, c, [&](int a) {
                const uint64_t *near = adj[a];
                const bool alone = any(words_, [&](int w) {
                    return all[w] & ~near[w] & ~(w == a >> 6 ? uint64_t(1) << (a & 63) : 0);
                });
                if (alone || (cut_ && cut_->has(c, a))) pa.set(c, a), ch.set(a, c);
                else ne.set(c, a), ne.set(a, c);
            });
            queue_.push_back(c);
        }
        close(cut_ != nullptr);
    }

    // Orients the components of the forced variables so that the member has exactly these parents there.
    // False, and nothing changed, when no member has them.
    bool arrange(const std::vector<Forced> &forced) {
        BitRows part(1, d_), in(d_, d_), out(d_, d_), level = ne;
        std::vector<int> nodes;
        for (const Forced &f : forced) {
            if (!part.has(0, f.child)) component(f.child, part, nodes);
            row(ne, f.child, [&](int n) {
                const bool parent = f.parents[n >> 6] >> (n & 63) & 1;
                const int from = parent ? n : f.child, to = parent ? f.child : n;
                level.unset(from, to), level.unset(to, from);
                in.set(to, from), out.set(from, to);
            });
        }
        // Dor and Tarsi (1992): take away sinks whose undirected neighbours are adjacent to all around them.
        std::vector<int> stack(nodes.rbegin(), nodes.rend());
        size_t left = nodes.size();
        uint64_t *rest = part[0];
        while (!stack.empty()) {
            const int x = stack.back();
            stack.pop_back();
            if (!part.has(0, x) || any(words_, [&](int w) { return out[x][w] & rest[w]; })) continue;
            bool sink = true;
            each(words_, [&](int w) { return level[x][w] & rest[w]; }, [&](int n) {
                sink = sink && !any(words_, [&](int w) {
                    return ne[x][w] & rest[w] & ~adj[n][w] & ~(w == n >> 6 ? uint64_t(1) << (n & 63) : 0);
                });
            });
            if (!sink) continue;
            each(words_, [&](int w) { return level[x][w] & rest[w]; }, [&](int n) { in.set(x, n); });
            part.unset(0, x);
            --left;
            each(words_, [&](int w) { return ne[x][w] & rest[w]; }, [&](int n) { stack.push_back(n); });
        }
        if (left) return false;
        for (int v : nodes)
            for (int w = 0; w < words_; ++w) dag[v][w] = pa[v][w] | in[v][w];
        return true;
    }

    // Whether the class has a member whose arrows all are in `may` (by child).
    bool agrees(const BitRows &may) const {
        Pdag known = *this;
        known.queue_.clear();
        for (int c = 0; c < d_; ++c) {
            bool right = true;
            row(pa, c, [&](int a) { right = right && may.has(c, a); });
            row(ne, c, [&](int a) {
                if (may.has(c, a) && !may.has(a, c) && known.ne.has(c, a)) known.orient(a, c), known.touch(a, c, true);
                right = right && (may.has(c, a) || may.has(a, c));
            });
            if (!right) return false;
        }
        if (!known.close(true)) return false;
        for (int c = 0; c < d_; ++c)
            if (any(words_, [&](int w) { return known.pa[c][w] & ~may[c][w]; })) return false;
        return true;
    }

    // A semi-directed path from y to x past `blocked`, its nodes in `path`; the edge y to x itself does not count.
    bool reaches(int y, int x, const uint64_t *blocked, std::vector<int32_t> &path) {
        seen_.assign(blocked, blocked + words_);
        came_.resize(d_);
        line_.assign(1, y);
        seen_[y >> 6] |= uint64_t(1) << (y & 63);
        for (size_t at = 0; at < line_.size(); ++at) {
            const int v = line_[at];
            for (int w = 0; w < words_; ++w)
                for (uint64_t left = (ne[v][w] | ch[v][w]) & ~seen_[w]; left; left &= left - 1) {
                    const int u = w * 64 + __builtin_ctzll(left);
                    if (v == y && u == x) continue;
                    came_[u] = v;
                    if (u == x) {
                        path.assign(1, x);
                        for (int32_t t = x; t != y;) path.push_back(t = came_[t]);
                        return true;
                    }
                    seen_[w] |= uint64_t(1) << (u & 63);
                    line_.push_back(u);
                }
        }
        return false;
    }

    // Whether a path that `reaches` once found is still there.
    bool stands(const std::vector<int32_t> &path, const uint64_t *blocked) const {
        for (size_t i = 0; i + 1 < path.size(); ++i) {
            const int32_t u = path[i], v = path[i + 1];
            if (!ne.has(v, u) && !ch.has(v, u)) return false;
            if (i && blocked[u >> 6] >> (u & 63) & 1) return false;
        }
        return !path.empty();
    }

    // Equal for equal classes, and hardly ever for others.
    uint64_t print() const {
        uint64_t h = 0x9e3779b97f4a7c15;
        for (const BitRows *rows : {&pa, &ne})
            for (int c = 0; c < d_; ++c)
                for (int w = 0; w < words_; ++w) h = (h ^ (*rows)[c][w]) * 0xff51afd7ed558ccd, h ^= h >> 32;
        return h;
    }

  private:
    template <class Call>
    void row(const BitRows &rows, int i, Call call) const {
        const uint64_t *bits = rows[i];
        each(words_, [&](int w) { return bits[w]; }, call);
    }

    void component(int v, BitRows &part, std::vector<int> &nodes) const {
        part.set(0, v);
        const size_t first = nodes.size();
        nodes.push_back(v);
        for (size_t at = first; at < nodes.size(); ++at)
            row(ne, nodes[at], [&](int n) {
                if (!part.has(0, n)) part.set(0, n), nodes.push_back(n);
            });
    }

    void orient(int b, int c) {
        ne.unset(b, c), ne.unset(c, b);
        pa.set(c, b), ch.set(b, c);
    }

    // What b --> c may lead to: rules at its ends, with knowledge also one step further (R4).
    void touch(int b, int c, bool wide) {
        queue_.push_back(b), queue_.push_back(c);
        if (!wide) return;
        row(adj, b, [&](int n) { queue_.push_back(n); });
        row(adj, c, [&](int n) { queue_.push_back(n); });
    }

    // Meek's (1995) rules from the queued variables on. False when they turn an edge both ways.
    bool close(bool wide) {
        while (!queue_.empty()) {
            const int v = queue_.back();
            queue_.pop_back();
            bool clash = false;
            row(ne, v, [&](int n) {
                const bool out = turns(v, n, wide), in = turns(n, v, wide);
                if (out && in) clash = true;
                else if (out) orient(v, n), touch(v, n, wide);
                else if (in) orient(n, v), touch(n, v, wide);
            });
            if (clash) return false;
        }
        return true;
    }

    bool turns(int b, int c, bool wide) const {
        if (any(words_, [&](int w) { return (pa[b][w] & ~adj[c][w]) | (ch[b][w] & pa[c][w]); })) return true;  // R1, R2
        bool found = false;
        each(words_, [&](int w) { return found ? 0 : ne[b][w] & pa[c][w]; }, [&](int a) {  // R3
            found = found || any(words_, [&](int w) {
                return ne[b][w] & pa[c][w] & ~adj[a][w] & ~(w == a >> 6 ? uint64_t(1) << (a & 63) : 0);
            });
        });
        if (found || !wide) return found;
        each(words_, [&](int w) { return pa[c][w] & adj[b][w]; }, [&](int a) {  // R4
            found = found || any(words_, [&](int w) { return pa[a][w] & ne[b][w] & ~adj[c][w]; });
        });
        return found;
    }

    int d_, words_;
    const BitRows *cut_;
    std::vector<int> queue_;
    std::vector<uint64_t> seen_;
    std::vector<int32_t> came_, line_;
};
