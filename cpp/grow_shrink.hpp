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
        int32_t variable, child;  // child: -1 until it is first walked
    };
    struct Node {
        double score;
        double shrunk_score = 0.0;
        bool grown = false, shrunk = false;
        std::vector<Branch> branches{};  // apart from their scores, which a walk need not read
        std::vector<double> scores{};
        std::vector<int32_t> parents{};  // after shrinking, ascending
    };

    size_t find(const Score &score, const uint8_t *prefix, Scratch &scratch) {
        path_.assign(required_.begin(), required_.end());
        size_t at = 0;
        while (true) {
            if (!nodes_[at].grown) grow(score, at, scratch);
            Branch *branch = nodes_[at].branches.data(), *const end = branch + nodes_[at].branches.size();
            while (branch != end && !prefix[branch->variable]) ++branch;
            if (branch == end) break;
            path_.push_back(branch->variable);
            size_t next = branch->child;
            if (branch->child < 0) {
                next = nodes_.size();
                branch->child = int32_t(next);
                const double value = nodes_[at].scores[branch - nodes_[at].branches.data()];
                nodes_.push_back({value});
            }
            at = next;
        }
        if (!nodes_[at].shrunk) shrink(score, at, scratch);
        return at;
    }

    void grow(const Score &score, size_t at, Scratch &scratch) {
        values_.resize(score.size);
        score.additions(y_, path_.data(), int(path_.size()), nodes_[at].score, values_.data(), scratch);
        // A better variable that was passed over on the way here is not in the prefix, now or further down.
        size_t above = 0;
        for (size_t step = required_.size(); step < path_.size(); ++step) {
            const Branch *branch = nodes_[above].branches.data();
            for (; branch->variable != path_[step]; ++branch)
                values_[branch->variable] = -std::numeric_limits<double>::infinity();
            above = size_t(branch->child);
        }
        Node &node = nodes_[at];
        better_.clear();
        for (int z = 0; z < score.size; ++z)
            if (may_[z] && values_[z] > node.score + TOLERANCE) better_.push_back(z);
        std::sort(better_.begin(), better_.end(), [this](int32_t a, int32_t b) {
            return values_[a] != values_[b] ? values_[a] > values_[b] : a < b;
        });
        node.branches.reserve(better_.size()), node.scores.reserve(better_.size());
        for (int32_t z : better_) node.branches.push_back({z, -1}), node.scores.push_back(values_[z]);
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
    std::vector<int32_t> required_, path_, better_;
    std::vector<double> values_;
    std::vector<Node> nodes_;
};
