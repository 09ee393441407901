// SPDX-License-Identifier: MIT
// The program table as C, for `nnc build` and `nnc emit`: the same NncProgram that runs in memory,
// printed.
#include "emit/emit.h"

#include <string.h>

static void print_string(Buf *out, const char *text) {
    if (!text) {
        buf_add(out, "0");
        return;
    }
    buf_add(out, "\"");
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c == '\n' && c[1])
            buf_add(out, "\\n\"\n    \"");
        else if (*c == '\\' || *c == '"' || *c == '?' || *c < ' ' || *c > '~')
            buf_printf(out, "\\%03o", *c);
        else
            buf_add_char(out, *c);
    }
    buf_add(out, "\"");
}

static void print_extents(Buf *out, int rank, const long long *extent) {
    buf_printf(out, "%d, {", rank);
    for (int axis = 0; axis < rank; axis++)
        buf_printf(out, "%s%lld", axis ? ", " : "", extent[axis]);
    buf_add(out, rank ? "}" : "0}");
}

static void print_tensors(Buf *out, const NncProgram *program) {
    buf_add(out, "static const NncTensor tensors[] = {\n");
    for (int i = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        buf_add(out, "    {");
        print_string(out, tensor->name);
        buf_printf(out, ", %d, %d, ", tensor->kind, tensor->type);
        print_extents(out, tensor->rank, tensor->extent);
        buf_printf(out, ", %lld},\n", tensor->offset);
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_columns(Buf *out, const char *name, const NncColumn *column, int count) {
    buf_printf(out, "static const NncColumn %s[] = {\n", name);
    for (int i = 0; i < count; i++) {
        buf_add(out, "    {");
        print_string(out, column[i].name);
        buf_printf(out, ", %d, ", column[i].type);
        print_extents(out, column[i].rank, column[i].extent);
        buf_printf(out, ", %lld, %lld, %d, %d},\n", column[i].offset, column[i].classes,
                   column[i].is_target, column[i].per_example);
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_arguments(Buf *out, const char *name, const NncCall *call) {
    buf_printf(out, "static const NncArgument %s[] = {\n", name);
    for (int i = 0; i < call->argument_count; i++) {
        buf_add(out, "    {");
        print_string(out, call->argument[i].name);
        buf_add(out, ", ");
        print_string(out, call->argument[i].text);
        buf_printf(out, ", %.17g},\n", call->argument[i].number);
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_call(Buf *out, const NncCall *call, const char *arguments) {
    buf_add(out, "{");
    print_string(out, call->name);
    buf_add(out, ", ");
    print_string(out, call->column);
    buf_printf(out, ", %s, %d}", arguments, call->argument_count);
}

static void print_calls(Buf *out, const NncProgram *program) {
    print_arguments(out, "data_arguments", &program->data);
    for (int i = 0; i < program->augment_count; i++)
        print_arguments(out, arena_printf(out->arena, "augment%d_arguments", i),
                        &program->augment[i]);
    buf_add(out, "static const NncCall augments[] = {\n");
    for (int i = 0; i < program->augment_count; i++) {
        buf_add(out, "    ");
        print_call(out, &program->augment[i], arena_printf(out->arena, "augment%d_arguments", i));
        buf_add(out, ",\n");
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_hypers(Buf *out, const NncProgram *program) {
    buf_add(out, "static const NncHyper hypers[] = {\n");
    for (int i = 0; i < program->hyper_count; i++) {
        buf_add(out, "    {");
        print_string(out, program->hyper[i].name);
        buf_printf(out, ", %.17g, %d},\n", program->hyper[i].value, (int)program->hyper[i].kind);
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_expects(Buf *out, const NncProgram *program) {
    buf_add(out, "static const NncExpect expects[] = {\n");
    for (int i = 0; i < program->expect_count; i++) {
        buf_add(out, "    {");
        print_string(out, program->expect[i].score);
        buf_add(out, ", ");
        print_string(out, program->expect[i].relation);
        buf_printf(out, ", %.17g, ", program->expect[i].value);
        if (program->expect[i].otherwise)
            print_string(out, program->expect[i].otherwise);
        else
            buf_add(out, "0");
        buf_add(out, "},\n");
    }
    buf_add(out, "    {0},\n};\n\n");
}

static void print_functions(Buf *out, const NncProgram *program) {
    for (int f = 0; f < NNC_FUNCTIONS; f++) {
        const NncFunction *function = &program->function[f];
        if (!function->output) continue;
        const char *name = function_name((NncFunctionKind)f);
        buf_printf(out, "void nnc_run_%s(NncCtx *);\n", name);
        buf_printf(out, "void nnc_scalars_%s(const double *, double, double, double, float *);\n",
                   name);
        print_columns(out, arena_printf(out->arena, "%s_outputs", name), function->output,
                      function->output_count);
    }
}

static void print_rates(Buf *out, const NncProgram *program) {
    if (program->rate_count)
        buf_add(out, "void nnc_rates(const double *, double, double, double, double *);\n");
    buf_add(out, "static const char *const rates[] = {");
    for (int i = 0; i < program->rate_count; i++) {
        print_string(out, program->rate[i]);
        buf_add(out, ", ");
    }
    buf_add(out, "0};\n\n");
}

static void print_field(Buf *out, const char *field, const char *text) {
    buf_printf(out, "    .%s = ", field);
    print_string(out, text);
    buf_add(out, ",\n");
}

static bool is_for_gpu(const NncProgram *program) {
    return program->target && strncmp(program->target, "sm_", 3) == 0;
}

static void print_program(Buf *out, const NncProgram *p, const char *name) {
    if (is_for_gpu(p)) buf_add(out, "extern const struct NncDevice nnc_cuda_device;\n\n");
    buf_printf(out, "const NncProgram %s = {\n    .abi = %d,\n", name, p->abi);
    print_field(out, "model", p->model);
    print_field(out, "file", p->file);
    print_field(out, "source", p->source);
    print_field(out, "plan", p->plan);
    print_field(out, "jit", is_for_gpu(p) ? "cuda" : "native");
    if (is_for_gpu(p)) buf_add(out, "    .device = &nnc_cuda_device,\n");
    print_field(out, "precision", p->precision);
    print_field(out, "target", p->target);
    buf_printf(out,
               "    .batch = %d,\n    .epochs = %d,\n    .chunk = %d,\n    .seed = %lld,\n"
               "    .shuffle = %d,\n    .plateau = %d,\n",
               p->batch, p->epochs, p->chunk, p->seed, p->shuffle, p->plateau);
    print_field(out, "best", p->best);
    buf_printf(out, "    .best_is_lowest = %d,\n    .patience = %d,\n    .validation = %.17g,\n",
               p->best_is_lowest, p->patience, p->validation);
    buf_printf(out, "    .expect = expects,\n    .expect_count = %d,\n", p->expect_count);
    buf_printf(out, "    .state_bytes = %lld,\n    .input_bytes = %lld,\n", p->state_bytes,
               p->input_bytes);
    buf_printf(out, "    .tensor = tensors,\n    .tensor_count = %d,\n", p->tensor_count);
    buf_printf(out, "    .input = inputs,\n    .input_count = %d,\n", p->input_count);
    buf_printf(out, "    .hyper = hypers,\n    .hyper_count = %d,\n", p->hyper_count);
    if (p->rate_count)
        buf_printf(out, "    .rates = nnc_rates,\n    .rate = rates,\n    .rate_count = %d,\n",
                   p->rate_count);
    buf_add(out, "    .function = {\n");
    for (int f = 0; f < NNC_FUNCTIONS; f++) {
        const NncFunction *function = &p->function[f];
        const char *name = function_name((NncFunctionKind)f);
        if (!function->output)
            buf_add(out, "        {0},\n");
        else
            buf_printf(
                out,
                "        {nnc_run_%s, nnc_scalars_%s, %d, %lld, %lld, %lld, %s_outputs, %d},\n",
                name, name, function->scalar_count, function->work_bytes, function->output_bytes,
                function->scratch_bytes, name, function->output_count);
    }
    buf_add(out, "    },\n    .data = ");
    print_call(out, &p->data, "data_arguments");
    buf_printf(out, ",\n    .augment = augments,\n    .augment_count = %d,\n};\n",
               p->augment_count);
}

void emit_table(Buf *out, const NncProgram *program, const char *name) {
    buf_add(
        out,
        "// Emitted by nnc: what the runtime is to know of the program.\n#include \"nnc.h\"\n\n");
    print_tensors(out, program);
    print_columns(out, "inputs", program->input, program->input_count);
    print_hypers(out, program);
    print_expects(out, program);
    print_calls(out, program);
    print_functions(out, program);
    print_rates(out, program);
    print_program(out, program, name);
}
