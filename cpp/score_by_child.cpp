// A score that has a kernel of its own for each child, such as one of the rows in which the child was not intervened on.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/vector.h>

#include "score.hpp"

namespace nb = nanobind;

namespace {

class ScoreByChild final : public Score {
  public:
    ScoreByChild(std::vector<std::shared_ptr<Score>> parts, std::vector<int32_t> which)
        : Score(int(which.size())), parts_(std::move(parts)), which_(std::move(which)) {}

    double local(int y, const int32_t *parents, int k, Scratch &scratch) const override {
        return of(y).local(y, parents, k, scratch);
    }
    void additions(int y, const int32_t *parents, int k, double least, double *out, Scratch &scratch) const override {
        of(y).additions(y, parents, k, least, out, scratch);
    }
    void removals(int y, const int32_t *parents, int k, double *out, Scratch &scratch) const override {
        of(y).removals(y, parents, k, out, scratch);
    }

  private:
    const Score &of(int y) const { return *parts_[which_[y]]; }

    const std::vector<std::shared_ptr<Score>> parts_;
    const std::vector<int32_t> which_;
};

}  // namespace

// parts: scores of the same variables. which: (d,), the part that scores each child.
static std::shared_ptr<Score> score_by_child(std::vector<std::shared_ptr<Score>> parts,
                                             nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu> which) {
    const size_t d = which.shape(0);
    for (const auto &part : parts)
        if (!part || size_t(part->size) != d) throw std::invalid_argument("the parts score the same variables");
    for (size_t y = 0; y < d; ++y)
        if (which.data()[y] < 0 || size_t(which.data()[y]) >= parts.size())
            throw std::invalid_argument("which names a part for each variable");
    return std::make_shared<ScoreByChild>(std::move(parts), std::vector<int32_t>(which.data(), which.data() + d));
}

void bind_score_by_child(nb::module_ &m) {
    m.def("score_by_child", &score_by_child, nb::arg("parts"), nb::arg("which"));
}
