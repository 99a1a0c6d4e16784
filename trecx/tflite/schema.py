"""The TensorFlow Lite file format (schema version 3) as a table.

Each table is one string of `name:type` in the order of the slots. Types: a scalar (`int`, or
`int=1` with its default), `string`, another table, `<Union>` (which takes two slots: the
member's number and the member), `[T]` for a vector, `[T@16]` with the alignment of its first
element; `-` is a slot no longer used. A union is the tuple of its members in the order of their
numbers; a member that is no key of `_TABLES` has no fields.

All options of built-in operators are here, those that trecx does not execute included, so that
cutting a model keeps them. What is left out (StableHLO options, block-wise quantisation, tensors
in other files) is noticed by the reader and refused by the writer.

Facts from tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

from trecx.tflite.flatbuffer import Record, Schema

IDENTIFIER = b"TFL3"
VERSION = 3


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_OPTIONS = _names("""
    NONE Conv2DOptions DepthwiseConv2DOptions ConcatEmbeddingsOptions LSHProjectionOptions
    Pool2DOptions SVDFOptions RNNOptions FullyConnectedOptions SoftmaxOptions ConcatenationOptions
    AddOptions L2NormOptions LocalResponseNormalizationOptions LSTMOptions ResizeBilinearOptions
    CallOptions ReshapeOptions SkipGramOptions SpaceToDepthOptions EmbeddingLookupSparseOptions
    MulOptions PadOptions GatherOptions BatchToSpaceNDOptions SpaceToBatchNDOptions
    TransposeOptions ReducerOptions SubOptions DivOptions SqueezeOptions SequenceRNNOptions
    StridedSliceOptions ExpOptions TopKV2Options SplitOptions LogSoftmaxOptions CastOptions
    DequantizeOptions MaximumMinimumOptions ArgMaxOptions LessOptions NegOptions PadV2Options
    GreaterOptions GreaterEqualOptions LessEqualOptions SelectOptions SliceOptions
    TransposeConvOptions SparseToDenseOptions TileOptions ExpandDimsOptions EqualOptions
    NotEqualOptions ShapeOptions PowOptions ArgMinOptions FakeQuantOptions PackOptions
    LogicalOrOptions OneHotOptions LogicalAndOptions LogicalNotOptions UnpackOptions
    FloorDivOptions SquareOptions ZerosLikeOptions FillOptions BidirectionalSequenceLSTMOptions
    BidirectionalSequenceRNNOptions UnidirectionalSequenceLSTMOptions FloorModOptions RangeOptions
    ResizeNearestNeighborOptions LeakyReluOptions SquaredDifferenceOptions MirrorPadOptions
    AbsOptions SplitVOptions UniqueOptions ReverseV2Options AddNOptions GatherNdOptions CosOptions
    WhereOptions RankOptions ReverseSequenceOptions MatrixDiagOptions QuantizeOptions
    MatrixSetDiagOptions HardSwishOptions IfOptions WhileOptions DepthToSpaceOptions
    NonMaxSuppressionV4Options NonMaxSuppressionV5Options ScatterNdOptions SelectV2Options
    DensifyOptions SegmentSumOptions BatchMatMulOptions CumsumOptions CallOnceOptions
    BroadcastToOptions Rfft2dOptions Conv3DOptions HashtableOptions HashtableFindOptions
    HashtableImportOptions HashtableSizeOptions VarHandleOptions ReadVariableOptions
    AssignVariableOptions RandomOptions BucketizeOptions GeluOptions DynamicUpdateSliceOptions
    UnsortedSegmentProdOptions UnsortedSegmentMaxOptions UnsortedSegmentMinOptions
    UnsortedSegmentSumOptions ATan2Options SignOptions BitcastOptions BitwiseXorOptions
    RightShiftOptions
    """)

_UNIONS = {
    "BuiltinOptions": _OPTIONS,
    "BuiltinOptions2": ("NONE",),
    "QuantizationDetails": ("NONE", "CustomQuantization"),
    "SparseIndexVector": ("NONE", "Int32Vector", "Uint16Vector", "Uint8Vector"),
}

_TABLES = {
    "Model": """
        version:uint operator_codes:[OperatorCode] subgraphs:[SubGraph] description:string
        buffers:[Buffer] metadata_buffer:[int] metadata:[Metadata] signature_defs:[SignatureDef]
    """,
    "OperatorCode": """
        deprecated_builtin_code:byte custom_code:string version:int=1 builtin_code:int
    """,
    "SubGraph": """
        tensors:[Tensor] inputs:[int] outputs:[int] operators:[Operator] name:string
        debug_metadata_index:int=-1
    """,
    "Tensor": """
        shape:[int] type:byte buffer:uint name:string quantization:QuantizationParameters
        is_variable:bool sparsity:SparsityParameters shape_signature:[int] has_rank:bool
        variant_tensors:[VariantSubType] external_buffer:uint
    """,
    "QuantizationParameters": """
        min:[float] max:[float] scale:[float] zero_point:[long] details:<QuantizationDetails>
        quantized_dimension:int
    """,
    "CustomQuantization": "custom:[ubyte]",
    "SparsityParameters": "traversal_order:[int] block_map:[int] dim_metadata:[DimensionMetadata]",
    "DimensionMetadata": """
        format:byte dense_size:int array_segments:<SparseIndexVector>
        array_indices:<SparseIndexVector>
    """,
    "Int32Vector": "values:[int]",
    "Uint16Vector": "values:[ushort]",
    "Uint8Vector": "values:[ubyte]",
    "VariantSubType": "shape:[int] type:byte has_rank:bool",
    "Operator": """
        opcode_index:uint inputs:[int] outputs:[int] builtin_options:<BuiltinOptions>
        custom_options:[ubyte] custom_options_format:byte mutating_variable_inputs:[bool]
        intermediates:[int] large_custom_options_offset:ulong large_custom_options_size:ulong
        builtin_options2:<BuiltinOptions2> debug_metadata_index:int=-1
    """,
    "Buffer": "data:[ubyte@16] offset:ulong size:ulong",
    "Metadata": "name:string buffer:uint",
    "SignatureDef": """
        inputs:[TensorMap] outputs:[TensorMap] signature_key:string - subgraph_index:uint
    """,
    "TensorMap": "name:string tensor_index:uint",
    "Conv2DOptions": """
        padding:byte stride_w:int stride_h:int fused_activation_function:byte
        dilation_w_factor:int=1 dilation_h_factor:int=1 quantized_bias_type:byte
    """,
    "DepthwiseConv2DOptions": """
        padding:byte stride_w:int stride_h:int depth_multiplier:int
        fused_activation_function:byte dilation_w_factor:int=1 dilation_h_factor:int=1
    """,
    "ConcatEmbeddingsOptions": """
        num_channels:int num_columns_per_channel:[int] embedding_dim_per_channel:[int]
    """,
    "LSHProjectionOptions": "type:byte",
    "Pool2DOptions": """
        padding:byte stride_w:int stride_h:int filter_width:int filter_height:int
        fused_activation_function:byte
    """,
    "SVDFOptions": "rank:int fused_activation_function:byte asymmetric_quantize_inputs:bool",
    "RNNOptions": "fused_activation_function:byte asymmetric_quantize_inputs:bool",
    "FullyConnectedOptions": """
        fused_activation_function:byte weights_format:byte keep_num_dims:bool
        asymmetric_quantize_inputs:bool quantized_bias_type:byte quant_spec:[ubyte]
    """,
    "SoftmaxOptions": "beta:float",
    "ConcatenationOptions": "axis:int fused_activation_function:byte",
    "AddOptions": "fused_activation_function:byte pot_scale_int16:bool=true",
    "L2NormOptions": "fused_activation_function:byte",
    "LocalResponseNormalizationOptions": "radius:int bias:float alpha:float beta:float",
    "LSTMOptions": """
        fused_activation_function:byte cell_clip:float proj_clip:float kernel_type:byte
        asymmetric_quantize_inputs:bool
    """,
    "ResizeBilinearOptions": "- - align_corners:bool half_pixel_centers:bool",
    "CallOptions": "subgraph:uint",
    "ReshapeOptions": "new_shape:[int]",
    "SkipGramOptions": "ngram_size:int max_skip_size:int include_all_ngrams:bool",
    "SpaceToDepthOptions": "block_size:int",
    "EmbeddingLookupSparseOptions": "combiner:byte",
    "MulOptions": "fused_activation_function:byte",
    "GatherOptions": "axis:int batch_dims:int",
    "ReducerOptions": "keep_dims:bool",
    "SubOptions": "fused_activation_function:byte pot_scale_int16:bool=true",
    "DivOptions": "fused_activation_function:byte",
    "SqueezeOptions": "squeeze_dims:[int]",
    "SequenceRNNOptions": """
        time_major:bool fused_activation_function:byte asymmetric_quantize_inputs:bool
    """,
    "StridedSliceOptions": """
        begin_mask:int end_mask:int ellipsis_mask:int new_axis_mask:int shrink_axis_mask:int
        offset:bool
    """,
    "SplitOptions": "num_splits:int",
    "CastOptions": "in_data_type:byte out_data_type:byte",
    "ArgMaxOptions": "output_type:byte",
    "TransposeConvOptions": """
        padding:byte stride_w:int stride_h:int fused_activation_function:byte
        quantized_bias_type:byte
    """,
    "SparseToDenseOptions": "validate_indices:bool",
    "ShapeOptions": "out_type:byte",
    "ArgMinOptions": "output_type:byte",
    "FakeQuantOptions": "min:float max:float num_bits:int narrow_range:bool",
    "PackOptions": "values_count:int axis:int",
    "OneHotOptions": "axis:int",
    "UnpackOptions": "num:int axis:int",
    "BidirectionalSequenceLSTMOptions": """
        fused_activation_function:byte cell_clip:float proj_clip:float merge_outputs:bool
        time_major:bool=true asymmetric_quantize_inputs:bool
    """,
    "BidirectionalSequenceRNNOptions": """
        time_major:bool fused_activation_function:byte merge_outputs:bool
        asymmetric_quantize_inputs:bool
    """,
    "UnidirectionalSequenceLSTMOptions": """
        fused_activation_function:byte cell_clip:float proj_clip:float time_major:bool
        asymmetric_quantize_inputs:bool diagonal_recurrent_tensors:bool
    """,
    "ResizeNearestNeighborOptions": "align_corners:bool half_pixel_centers:bool",
    "LeakyReluOptions": "alpha:float",
    "MirrorPadOptions": "mode:byte",
    "SplitVOptions": "num_splits:int",
    "UniqueOptions": "idx_out_type:byte=2",
    "ReverseSequenceOptions": "seq_dim:int batch_dim:int",
    "IfOptions": "then_subgraph_index:int else_subgraph_index:int",
    "WhileOptions": "cond_subgraph_index:int body_subgraph_index:int",
    "DepthToSpaceOptions": "block_size:int",
    "BatchMatMulOptions": "adj_x:bool adj_y:bool asymmetric_quantize_inputs:bool",
    "CumsumOptions": "exclusive:bool reverse:bool",
    "CallOnceOptions": "init_subgraph_index:int",
    "Conv3DOptions": """
        padding:byte stride_d:int stride_w:int stride_h:int fused_activation_function:byte
        dilation_d_factor:int=1 dilation_w_factor:int=1 dilation_h_factor:int=1
    """,
    "HashtableOptions": "table_id:int key_dtype:byte value_dtype:byte",
    "VarHandleOptions": "container:string shared_name:string",
    "RandomOptions": "seed:long seed2:long",
    "BucketizeOptions": "boundaries:[float]",
    "GeluOptions": "approximate:bool",
}

# Numbers of the operators and of the tensor types are their places in these tuples.

OPERATORS = _names("""
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1
    RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM
    CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND
    SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE
    BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM
    CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT
    SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT
    SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND
    LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL
    REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE
    MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5
    SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM
    CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE HASHTABLE_FIND
    HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE
    ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
    GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX
    UNSORTED_SEGMENT_SUM ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT
    STABLEHLO_LOGISTIC STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM
    STABLEHLO_RESHAPE STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM
    STABLEHLO_CONVOLUTION STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS
    STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG
    STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER
    STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
    STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE
    STABLEHLO_PAD STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
    STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
    REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """)

TENSOR_TYPES = _names("""
    FLOAT32 FLOAT16 INT32 UINT8 INT64 STRING BOOL INT16 COMPLEX64 INT8 FLOAT64 COMPLEX128 UINT64
    RESOURCE VARIANT UINT32 UINT16 INT4 BFLOAT16 INT2 UINT4 FLOAT8_E4M3FN FLOAT8_E5M2
    """)

ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT")
PADDINGS = ("SAME", "VALID")

SCHEMA = Schema(_TABLES, _UNIONS)
OPERATOR_CODE = {name: code for code, name in enumerate(OPERATORS)}
TENSOR_TYPE_CODE = {name: code for code, name in enumerate(TENSOR_TYPES)}


def new(table: str, /, **values) -> Record:
    """A record of a table of this schema."""
    return SCHEMA.new(table, **values)
