// SPDX-License-Identifier: MIT
// Golden tests: what the compiler makes of a small file is compared with a file beside it, whose
// extension says which stage is meant.
//
//     parse/pipe.nnd   beside  .ast          the tree, printed
//     parse/bad.nnd    beside  .err          all messages, in the order of their place
//     errors/bad.nnd   beside  .expected     what nnc check says of it, at most twelve lines
//     elab/dense.nnd   beside  .elab         the graph of its network, or of its last function
//     graph/ops.graph                        reads, and prints as the same text again
//     graph/bad.graph  beside  .err
//     pass/mul.graph   beside  .simplify ..  after a pass (nnc graph --stage; .c: what is emitted)
//     pass/mul.graph   beside  .grad         d output / d each input and parameter, simplified
//     picture/cnn.nnd  beside  .boxes ..     its picture as lines; .layout_boxes: of that stage
//
// A new stage is a row of `stages`. NNC_PROMOTE=1 writes what is there now into the expectations
// that exist: `touch parse/new.ast`, promote, read the difference.
#include "compile.h"
#include "nnd/elab.h"
#include "pass/grad.h"
#include "pass/simplify.h"
#include "picture/picture.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 512, MAX_CASES = 1024 };

typedef struct Input {
    Arena *arena;
    const Source *source; // named without its folder, so that messages are the same everywhere
    bool is_graph;        // .graph, not .nnd
    Diag *diag;
} Input;

// --- What is dumped: one function of a module

typedef struct Subject {
    const Module *module;
    NncFunctionKind function;
} Subject;

// A graph as the only function of a module; which one, its name says.
static Subject subject_of_graph(const Input *input, Graph *graph) {
    Module *module = ARENA_NEW(input->arena, Module);
    NncFunctionKind function = NNC_TRAIN;
    for (int i = 0; i < NNC_FUNCTIONS; i++)
        if (!strcmp(function_name((NncFunctionKind)i), graph->name)) function = (NncFunctionKind)i;
    module->model = "golden";
    module->source = input->source;
    module->batch = module->chunk = 4;
    module->graph[function] = graph;
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        InputInfo info = {.name = node->attr->name, .dtype = node->dtype, .shape = node->shape};
        if (node->op == OP_input) VEC_PUSH(input->arena, module->input, info);
    }
    return (Subject){module, function};
}

static const Decl *last_function(const File *file) {
    const Decl *last = NULL;
    for (int i = 0; i < file->decl_count; i++)
        if (file->decl[i]->kind == DECL_MODEL || file->decl[i]->kind == DECL_TRAIN)
            return NULL;
        else if (file->decl[i]->kind != DECL_DATA)
            last = file->decl[i];
    return last;
}

// A file's network: its training step, or its loss, or its prediction. Where there is none, its
// last function, layer or optimizer, applied to arguments that suit it.
static Subject subject_of_file(const Input *input) {
    const File *file = nnd_parse(input->arena, input->source, input->diag);
    if (file->lost) return (Subject){0};
    const Decl *decl = last_function(file);
    if (decl && file->broken) return (Subject){0};
    if (decl) {
        int count;
        const ExampleArgument *argument = nnd_example_arguments(input->arena, decl, &count);
        Graph *graph =
            nnd_elaborate_call(input->arena, file, decl->name, argument, count, true, input->diag);
        return graph ? subject_of_graph(input, graph) : (Subject){0};
    }
    const Module *module = nnd_elaborate(input->arena, file, &(ElabOptions){0}, input->diag);
    if (!module) return (Subject){0};
    NncFunctionKind function = module->graph[NNC_TRAIN]  ? NNC_TRAIN
                               : module->graph[NNC_EVAL] ? NNC_EVAL
                                                         : NNC_PREDICT;
    return (Subject){module, function};
}

static Subject subject_of(const Input *input) {
    if (!input->is_graph) return subject_of_file(input);
    Graph *graph = graph_read(input->arena, input->source, input->diag);
    return graph ? subject_of_graph(input, graph) : (Subject){0};
}

// --- Stages: each prints into `out`; mistakes are in input->diag

static void dump_messages(Buf *out, const Input *input, const char *pass) {
    (void)pass;
    subject_of(input);
    buf_add(out, diag_text(input->diag, input->arena));
}

// What `nnc check` says of a whole file.
static void dump_check(Buf *out, const Input *input, const char *pass) {
    (void)pass;
    const File *file = nnd_parse(input->arena, input->source, input->diag);
    const Module *module = NULL;
    if (!file->lost)
        module = nnd_elaborate(input->arena, file, &(ElabOptions){0}, input->diag);
    if (module && !file->broken) compile(input->arena, module, &target_library, input->diag);
    buf_add(out, diag_text(input->diag, input->arena));
}

static void dump_tree(Buf *out, const Input *input, const char *pass) {
    (void)pass;
    ast_print(out, nnd_parse(input->arena, input->source, input->diag));
}

static void dump_graph(Buf *out, const Input *input, const char *pass) {
    (void)pass;
    const Graph *graph = graph_read(input->arena, input->source, input->diag);
    if (graph) graph_print(out, graph);
}

// d (sum of the first output times "g") / d each real input and parameter, simplified; "g" is 1
// where the output is one number.
static void dump_grad(Buf *out, const Input *input, const char *pass) {
    (void)pass;
    VEC(const Node *) wrt = {0};
    Subject subject = subject_of(input);
    if (!subject.module) return;
    Graph *graph = subject.module->graph[subject.function];
    cr_assert(graph->root.count > 0, "a .grad needs an output");
    for (int id = 0; id < graph->node.count; id++) {
        const Node *node = graph->node.at[id];
        bool real = node->dtype == DT_F32 && (node->op == OP_input || node->op == OP_param);
        if (real) VEC_PUSH(input->arena, wrt, node);
    }
    const Node **adjoint = ARENA_ARRAY(input->arena, const Node *, wrt.count), *seed = NULL;
    const Node *output = graph->root.at[0].value;
    if (output->shape.rank > 0) seed = node_input(graph, "g", DT_F32, output->shape);
    graph_grad(graph, output, seed, wrt.at, wrt.count, adjoint);
    graph->root.count = 0; // the gradients alone
    for (int i = 0; i < wrt.count; i++)
        graph_add_root(graph, ROOT_OUTPUT,
                       arena_printf(input->arena, "d %s", wrt.at[i]->attr->name), NULL, adjoint[i]);
    graph_print(out, simplify(input->arena, graph));
}

static void dump_pass(Buf *out, const Input *input, const char *pass) {
    Subject subject = subject_of(input);
    if (!subject.module) return;
    bool vectors = !strcmp(pass, "update"); // without them it leaves all as it is
    const Target *target = vectors ? target_find("x86-64-v3") : &target_library;
    cr_assert(stage_dump(out, subject.module, target, subject.function, pass),
              "there is no stage %s", pass);
}

// What is emitted for a GPU.
static void dump_cuda(Buf *out, const Input *input, const char *pass) {
    Subject subject = subject_of(input);
    if (!subject.module) return;
    cr_assert(stage_dump(out, subject.module, target_cuda(NULL), subject.function, pass));
}

// The picture of the graph: dot, or as lines: of its calls, early or late in the pipeline, of its
// operators.
static void dump_picture(Buf *out, const Input *input, const char *form) {
    Subject subject = subject_of(input);
    if (!subject.module) return;
    const char *stage = !strcmp(form, "layout") ? form : "elab";
    const Graph *graph =
        stage_graph(input->arena, subject.module, &target_library, subject.function, stage);
    bool opens = !strcmp(form, "operators");
    const Picture *picture = picture_make(input->arena, graph, opens ? PICTURE_OPERATORS : 1);
    if (!strcmp(form, "dot"))
        picture_dot(out, picture);
    else
        picture_list(out, picture);
}

typedef struct GoldenStage {
    const char *extension;
    void (*dump)(Buf *out, const Input *input, const char *pass);
    const char *pass; // of the pipeline, for dump_pass; a form, for dump_picture
    bool may_fail;    // mistakes are what is expected
} GoldenStage;

static const GoldenStage stages[] = {
    {".ast", dump_tree, NULL, false},
    {".graph", dump_graph, NULL, false}, // of a .graph: the file is its own expectation
    {".err", dump_messages, NULL, true},
    {".expected", dump_check, NULL, true},
    {".grad", dump_grad, NULL, false},
    {".elab", dump_pass, "elab", false},
    {".simplify", dump_pass, "simplify", false},
    {".lower", dump_pass, "lower", false},
    {".tidy", dump_pass, "tidy", false},
    {".layout", dump_pass, "layout", false},
    {".update", dump_pass, "update", false},
    {".precision", dump_pass, "precision", false},
    {".fuse", dump_pass, "fuse", false},
    {".plan", dump_pass, "plan", false},
    {".c", dump_pass, "c", false},
    {".cu", dump_cuda, "c", false},
    {".dot", dump_picture, "dot", false},
    {".boxes", dump_picture, "boxes", false},
    {".layout_boxes", dump_picture, "layout", false},
    {".operators", dump_picture, "operators", false},
};
enum { STAGES = sizeof stages / sizeof *stages };

// --- Cases. Criterion runs them in other processes: no pointers in a case.

typedef struct Case {
    char input[MAX_PATH], expected[MAX_PATH];
    int stage;
} Case;

static const char *extension(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? dot : "";
}

static bool is_input(const char *path) {
    return !strcmp(extension(path), ".nnd") || !strcmp(extension(path), ".graph");
}

static int compare_names(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

// The names in a folder, in order; hidden ones left out.
static int list_folder(Arena *arena, const char *path, const char ***names) {
    VEC(const char *) list = {0};
    DIR *folder = opendir(path);
    if (!folder) return 0;
    for (const struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') VEC_PUSH(arena, list, arena_strdup(arena, entry->d_name));
    closedir(folder);
    if (list.count) qsort(list.at, (size_t)list.count, sizeof *list.at, compare_names);
    *names = list.at;
    return list.count;
}

// The cases of one input: one for each expectation beside it. With none: a case of stage -1, which
// fails.
static int add_cases(Arena *arena, const char *path, Case *cases, int count) {
    int stem = (int)(strlen(path) - strlen(extension(path))), before = count;
    bool is_graph = !strcmp(extension(path), ".graph");
    for (int i = 0; i < STAGES && count < MAX_CASES; i++) {
        bool on_itself = !strcmp(stages[i].extension, ".graph");
        const char *expected = arena_printf(arena, "%.*s%s", stem, path, stages[i].extension);
        // A .graph with an .err beside it is one with mistakes.
        if (on_itself && !is_graph) continue;
        if (on_itself && !access(arena_printf(arena, "%.*s.err", stem, path), F_OK)) continue;
        if (access(expected, F_OK)) continue;
        Case *one = &cases[count++];
        snprintf(one->input, MAX_PATH, "%s", path);
        snprintf(one->expected, MAX_PATH, "%s", expected);
        one->stage = i;
    }
    if (count == before && count < MAX_CASES) {
        snprintf(cases[count].input, MAX_PATH, "%s", path);
        cases[count++].stage = -1;
    }
    return count;
}

static int find_cases(Arena *arena, Case *cases) {
    const char *root = getenv("NNC_TEST_DIR");
    const char *top = arena_printf(arena, "%s/golden", root ? root : "tests");
    const char **folders, **names;
    int count = 0, folder_count = list_folder(arena, top, &folders);
    for (int i = 0; i < folder_count; i++) {
        const char *folder = arena_printf(arena, "%s/%s", top, folders[i]);
        int name_count = list_folder(arena, folder, &names);
        for (int k = 0; k < name_count; k++)
            if (is_input(names[k]))
                count =
                    add_cases(arena, arena_printf(arena, "%s/%s", folder, names[k]), cases, count);
    }
    return count;
}

static void free_cases(struct criterion_test_params *params) { cr_free(params->params); }

ParameterizedTestParameters(golden, file) {
    Arena *arena = arena_new();
    Case *found = ARENA_ARRAY(arena, Case, MAX_CASES);
    size_t count = (size_t)find_cases(arena, found);
    Case *cases = cr_malloc(sizeof *cases * (count + 1));
    memcpy(cases, found, sizeof *cases * count);
    arena_free(arena);
    return cr_make_param_array(Case, cases, count, free_cases);
}

// --- Comparing

static int first_difference(const char *a, const char *b) {
    int line = 1;
    for (; *a && *a == *b; a++, b++)
        line += *a == '\n';
    return line;
}

static void promote(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "cannot write %s", path);
}

ParameterizedTest(Case *one, golden, file) {
    const char *error = NULL, *base = strrchr(one->input, '/');
    Arena *arena = arena_new();
    base = base ? base + 1 : one->input;
    cr_assert_geq(one->stage, 0, "%s has no expectation beside it", one->input);
    const GoldenStage *stage = &stages[one->stage];

    Source *text = source_read(arena, one->input, &error);
    cr_assert(text, "%s: %s", one->input, error);
    Input input = {.arena = arena,
                   .source = source_from_text(arena, base, text->text),
                   .is_graph = !strcmp(extension(one->input), ".graph"),
                   .diag = diag_new(arena)};
    Buf out = buf_new(arena);
    stage->dump(&out, &input, stage->pass);
    if (stage->may_fail)
        cr_assert(diag_error_count(input.diag) > 0, "%s has no mistakes", one->input);
    else
        cr_assert(diag_error_count(input.diag) == 0, "%s\n%s", one->input,
                  diag_text(input.diag, arena));

    const char *set = getenv("NNC_PROMOTE");
    if (set && !strcmp(set, "1")) promote(one->expected, out.text);
    Source *expected = source_read(arena, one->expected, &error);
    cr_assert(expected, "%s: %s", one->expected, error);
    cr_assert(!strcmp(out.text, expected->text),
              "%s differs from line %d on; it is now:\n%s(NNC_PROMOTE=1 accepts it)", one->expected,
              first_difference(out.text, expected->text), out.text);
    arena_free(arena);
}

// --- What a tree prints as parses back to the same tree

static bool prints_back(Arena *arena, const Source *source) {
    Diag *diag = diag_new(arena);
    Buf once = buf_new(arena), twice = buf_new(arena);
    ast_print(&once, nnd_parse(arena, source, diag));
    if (diag_error_count(diag)) return false;
    ast_print(&twice, nnd_parse(arena, source_from_text(arena, "printed", once.text), diag));
    cr_assert(diag_error_count(diag) == 0, "%s\n%s%s", source->name, once.text,
              diag_text(diag, arena));
    cr_assert(!strcmp(once.text, twice.text), "%s\n%s---\n%s", source->name, once.text, twice.text);
    return true;
}

Test(golden, trees_print_and_parse_back) {
    Arena *arena = arena_new();
    Case *cases = ARENA_ARRAY(arena, Case, MAX_CASES);
    int count = find_cases(arena, cases), checked = 0;
    for (int i = 0; i < count; i++) {
        const char *error = NULL;
        if (strcmp(extension(cases[i].input), ".nnd")) continue;
        Source *source = source_read(arena, cases[i].input, &error);
        cr_assert(source, "%s: %s", cases[i].input, error);
        checked += prints_back(arena, source);
    }
    cr_assert_gt(checked, 10);
    arena_free(arena);
}

// The standard library and the examples, which have no mistakes.
Test(golden, shipped_files_print_and_parse_back) {
    static const char *const folders[] = {"frontends/nnd/std", "examples"};
    const char *root = getenv("NNC_SOURCE_DIR"), **names;
    Arena *arena = arena_new();
    for (int f = 0; f < 2; f++) {
        const char *folder = arena_printf(arena, "%s/%s", root ? root : ".", folders[f]);
        int count = list_folder(arena, folder, &names);
        for (int i = 0; i < count; i++) {
            const char *error = NULL, *path = arena_printf(arena, "%s/%s", folder, names[i]);
            if (strcmp(extension(path), ".nnd")) continue;
            Source *source = source_read(arena, path, &error);
            cr_assert(source, "%s: %s", path, error);
            cr_assert(prints_back(arena, source), "%s has mistakes", path);
        }
    }
    arena_free(arena);
}
