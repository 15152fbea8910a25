// The extension module: flat arrays in and out; each kernel lives in its own file.
#include <nanobind/nanobind.h>

namespace nb = nanobind;

void bind_boss(nb::module_ &m);
void bind_causal_forest(nb::module_ &m);
void bind_counts(nb::module_ &m);
void bind_dag_sums(nb::module_ &m);
void bind_families(nb::module_ &m);
void bind_fixed_effects(nb::module_ &m);
void bind_ges(nb::module_ &m);
void bind_nearest(nb::module_ &m);
void bind_order_search(nb::module_ &m);
void bind_score_by_child(nb::module_ &m);
void bind_scores(nb::module_ &m);
void bind_skeleton_discrete(nb::module_ &m);
void bind_skeleton_gaps(nb::module_ &m);
void bind_skeleton_gaussian(nb::module_ &m);

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false);  // objects that live until the interpreter ends are no leak
    m.doc() = "whence kernels; whence.kernels.numpy_ref is the reference of each";
    bind_scores(m);
    bind_score_by_child(m);
    bind_boss(m);
    bind_causal_forest(m);
    bind_counts(m);
    bind_fixed_effects(m);
    bind_ges(m);
    bind_families(m);
    bind_nearest(m);
    bind_order_search(m);
    bind_dag_sums(m);
    bind_skeleton_discrete(m);
    bind_skeleton_gaps(m);
    bind_skeleton_gaussian(m);
}
