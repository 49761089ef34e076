"""Attribute names that belong to Python, torch or numpy: where a script uses one of its own, it cannot be told apart."""

from __future__ import annotations

import io
import pathlib
import re
import threading

_PYTHON = (str, bytes, bytearray, list, tuple, dict, set, frozenset, int, float, complex, slice, property, memoryview)
_LIBRARY = (io.TextIOWrapper, io.BytesIO, pathlib.Path, re.Pattern, re.Match, threading.Thread, threading.Event)

_TENSORS = """
T H mT mH abs absolute abs_ acos add add_ addcdiv_ addcmul addcmul_ addmm addmm_ all allclose amax amin aminmax any
apply_ argmax argmin argsort as_strided asin atan backward baddbmm bernoulli bernoulli_ bfloat16 bincount bitwise_and
bitwise_or bitwise_xor bmm bool broadcast_to byte ceil char chunk clamp clamp_ clamp_max clamp_max_ clamp_min clamp_min_
clip clip_ clone conj contiguous copy_ copysign cos cosh cpu cross cuda cummax cummin cumprod cumsum data data_ptr
deg2rad dense_dim dequantize det detach detach_ device diag diag_embed diagonal diff dim dist div div_ dot double dtype
element_size eq eq_ equal erf exp exp_ expand expand_as expm1 exponential_ fill fill_ fill_diagonal_ flatten flip float
floor floor_divide fmod frac frexp gather ge get_device grad grad_fn gt half hardshrink histc hypot imag index_add
index_add_ index_copy index_copy_ index_fill index_put index_put_ index_select int inverse is_contiguous is_cuda
is_floating_point is_inference is_leaf is_meta is_sparse isclose isfinite isinf isnan item itemsize kthvalue layout ldexp
le lerp lerp_ lgamma log log10 log1p log2 log_ log_softmax logaddexp logcumsumexp logical_and logical_not logical_or
logical_xor logsumexp long lt masked_fill masked_fill_ masked_scatter masked_select matmul max maximum mean median min
minimum mm mode movedim mul mul_ multinomial mv name names nan_to_num narrow nbytes ndim ndimension ne neg neg_ nelement
new_empty new_full new_ones new_tensor new_zeros nonzero norm normal_ numel numpy ones_like outer permute pin_memory pow
pow_ prod put_ qr quantile random_ ravel real reciprocal record_stream refine_names register_hook relu relu_ remainder
renorm repeat repeat_interleave requires_grad requires_grad_ reshape reshape_as resize_ resolve_conj retain_grad roll
rot90 round round_ rsqrt scatter scatter_ scatter_add scatter_add_ scatter_reduce scatter_reduce_ searchsorted select
set_ sgn shape share_memory_ short sigmoid sigmoid_ sign sin sinh size softmax sort sparse_dim split sqrt sqrt_ square
squeeze squeeze_ std storage storage_offset stride sub sub_ sum svd swapaxes t t_ take take_along_dim tan tanh tanh_
tensor_split tile to tolist topk trace transpose transpose_ tril tril_ triu triu_ true_divide trunc type type_as unbind
unflatten unfold uniform_ unique unique_consecutive unsqueeze unsqueeze_ untyped_storage values var view view_as vsplit
where xlogy zero_ indices astype base ctypes flags flat strides tobytes tofile item itemset newbyteorder
"""

_MODULES = """
add_module affine append apply bias bias_hh_l0 bias_ih_l0 buffers call_super_init children compile dilation dropout
dump_patches elementwise_affine embedding_dim eps eval extend extra_repr float forward get_buffer get_parameter
get_submodule groups half head_dim hidden_size in_channels in_features in_proj_bias in_proj_weight inplace insert
ipu keys kernel_size load_state_dict max_norm modules momentum named_buffers named_children named_modules
named_parameters normalized_shape num_embeddings num_features num_heads num_layers out_channels out_features out_proj
padding padding_idx parameters pop register_buffer register_forward_hook register_forward_pre_hook
register_full_backward_hook register_module register_parameter reset_parameters running_mean running_var
scale_grad_by_freq share_memory sparse state_dict stride track_running_stats train training values weight weight_hh_l0
weight_ih_l0 xpu zero_grad module module_list items update clear copy
"""

_TRAINING = """
add_param_group base_lrs closure defaults get_last_lr last_epoch param_groups state step unscale_ scale update
save_for_backward saved_tensors mark_non_differentiable needs_input_grad ctx setup_context vmap jvp apply
elapsed_time record synchronize wait wait_stream wait_event query graph replay pool capture_begin capture_end
dataset sampler batch_size num_workers collate_fn set_epoch fp16 bf16 rank world_size local_rank
graph_pool static_input no_sync require_backward_grad_sync total_memory major minor multi_processor_count
dtype max min tiny smallest_normal resolution bits
"""

_TEXT_AND_CALLBACKS = """
vocab_size get_piece_size piece_size id_to_piece piece_to_id encode decode encode_as_ids decode_ids is_byte is_control
is_unknown is_unused is_special bos_id eos_id pad_id unk_id load Load serialized_model_proto
add_argument parse_args parse_known_args add_argument_group set_defaults print_help
compress decompress flush read readline readlines write writelines seek tell close fileno closed getvalue getbuffer
run start join result submit map shutdown done cancel put get task_done empty full acquire release set is_set
handle emit format setup prepare teardown main log info warning error debug exception
fn func args kwargs keywords function target callback hook handles key index value count best
returncode stdout stderr pid poll communicate terminate kill
"""

FOREIGN = frozenset(
    f"{_TENSORS} {_MODULES} {_TRAINING} {_TEXT_AND_CALLBACKS}".split()
    + [name for kind in (*_PYTHON, *_LIBRARY) for name in dir(kind)]
)
"""Sources: the reference pages of ``torch.Tensor``, ``torch.nn.Module``, ``torch.optim.Optimizer``, ``numpy.ndarray``
and ``sentencepiece``; Python's own from Python. Generous: a name too many is one that stays as it was."""

CALLED_BACK = frozenset({"forward", "backward", "step", "setup_context", "extra_repr", "reset_parameters", "run"})
"""Methods that foreign code calls by their name."""

MAKES_KEYS = frozenset({"dict", "SimpleNamespace", "Namespace", "partial", "replace", "namedtuple", "update"})
"""Callables whose keywords become names or keys that other code reads back."""
