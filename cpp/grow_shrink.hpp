// Grow-shrink trees: the parents of a variable among those that precede it, with every prefix of the search kept.
//
// Andrews, B., Ramsey, J., Sanchez-Romero, R., Camchong, J. and Kummerfeld, E. (2023). Fast scalable and accurate
// discovery of DAGs using the best order score search and grow-shrink trees. NeurIPS, algorithms 1 to 3.
#pragma once

#include <algorithm>

#include "score.hpp"

// One variable's tree. A node is a set of parents in the order in which they were added; its branches are the
// variables that improve the score, best first. Nothing depends on the order in which prefixes are asked for.
class GrowShrinkTree {
  public:
    // may[z]: whether z may be a parent of y. required: parents that are always there.
    void begin(const Score &score, int y, const uint8_t *may, std::vector<int32_t> required, Scratch &scratch) {
        y_ = y, may_ = may, required_ = std::move(required);
        nodes_.clear();
        nodes_.push_back({score.local(y, required_.data(), int(required_.size()), scratch)});
    }

    // The score of y with the best parents found among `prefix` (one flag per variable).
    double trace(const Score &score, const uint8_t *prefix, Scratch &scratch) {
        return nodes_[find(score, prefix, scratch)].shrunk_score;
    }

    std::vector<int32_t> parents(const Score &score, const uint8_t *prefix, Scratch &scratch) {
        return nodes_[find(score, prefix, scratch)].parents;
    }

    size_t nodes() const { return nodes_.size(); }

  private:
    struct Branch {
        double score;
        int32_t variable, child;  // child: -1 until it is first walked
    };
    struct Node {
        double score;
        double shrunk_score = 0.0;
        bool grown = false, shrunk = false;
        std::vector<Branch> branches{};
        std::vector<int32_t> parents{};  // after shrinking, ascending
    };

    size_t find(const Score &score, const uint8_t *prefix, Scratch &scratch) {
        path_.assign(required_.begin(), required_.end());
        size_t at = 0;
        passed_.clear();
        for (bool moved = true; moved;) {
            if (!nodes_[at].grown) grow(score, at, scratch);
            moved = false;
            for (size_t b = 0; b < nodes_[at].branches.size(); ++b) {
                Branch &branch = nodes_[at].branches[b];
                if (!prefix[branch.variable]) { passed_.push_back(branch.variable); continue; }
                path_.push_back(branch.variable);
                size_t next = branch.child;
                if (branch.child < 0) {
                    next = nodes_.size();
                    branch.child = int32_t(next);
                    const double value = branch.score;
                    nodes_.push_back({value});
                }
                at = next;
                moved = true;
                break;
            }
        }
        if (!nodes_[at].shrunk) shrink(score, at, scratch);
        return at;
    }

    void grow(const Score &score, size_t at, Scratch &scratch) {
        values_.resize(score.size);
        score.additions(y_, path_.data(), int(path_.size()), nodes_[at].score, values_.data(), scratch);
        // A better variable that was passed over is not in the prefix, now or further down.
        for (int32_t z : passed_) values_[z] = -std::numeric_limits<double>::infinity();
        Node &node = nodes_[at];
        for (int z = 0; z < score.size; ++z)
            if (may_[z] && values_[z] > node.score + TOLERANCE) node.branches.push_back({values_[z], z, -1});
        std::sort(node.branches.begin(), node.branches.end(), [](const Branch &a, const Branch &b) {
            return a.score != b.score ? a.score > b.score : a.variable < b.variable;
        });
        node.branches.shrink_to_fit();
        node.grown = true;
    }

    void shrink(const Score &score, size_t at, Scratch &scratch) {
        std::vector<int32_t> kept = path_;
        std::sort(kept.begin(), kept.end());
        double best = nodes_[at].score;
        while (kept.size() > required_.size()) {
            values_.resize(std::max(values_.size(), kept.size()));
            score.removals(y_, kept.data(), int(kept.size()), values_.data(), scratch);
            int drop = -1;
            for (size_t j = 0; j < kept.size(); ++j)
                if (values_[j] > best + TOLERANCE && !is_required(kept[j])) drop = int(j), best = values_[j];
            if (drop < 0) break;
            kept.erase(kept.begin() + drop);
        }
        Node &node = nodes_[at];
        node.parents = std::move(kept);
        node.shrunk_score = best;
        node.shrunk = true;
    }

    bool is_required(int32_t z) const { return std::find(required_.begin(), required_.end(), z) != required_.end(); }

    static constexpr double TOLERANCE = 1e-9;
    int y_ = 0;
    const uint8_t *may_ = nullptr;
    std::vector<int32_t> required_, path_, passed_;
    std::vector<double> values_;
    std::vector<Node> nodes_;
};
