# Stage sums must come out the same on every machine: no multiply-add is ever fused.
target_compile_options(mien_detect PRIVATE $<$<COMPILE_LANGUAGE:C>:-ffp-contract=off>)
