// SPDX-License-Identifier: MIT
// nnc bench: training steps a second of a network as it is compiled, against the same network as a
// library of operators computes it: products by OpenBLAS (nnc_product), one loop for every other
// operator, from the same file, by the same compiler (target_baseline).
//
// Both start from the same parameters and see the same batch of random examples; their losses are
// compared first. Then they take turns, so that whatever else the machine does meets both.
#include "cli/machine.h"
#include "cli/profile.h"
#include "cli/roofline.h"
#include "jit/internal.h"
#include "json.h"
#include "nnc.h"
#include <math.h>
#include <string.h>

enum { SIDES = 2, COMPARED_STEPS = 3, ROUNDS = 15, PROFILE_SECONDS = 2 };
static const double most_difference = 1e-3;               // of the losses, relative
static const double turn_seconds = 0.15, settling = 0.02; // counted; before that

typedef struct Bench {
    const Settings *settings;
    Trainer *net[SIDES];       // compiled; the baseline
    int threads, steps[SIDES]; // of a turn
    double loss[SIDES], difference;
    Samples rate[SIDES], ratio; // steps a second
} Bench;

static const char *const side_name[SIDES] = {"nnc", "baseline"};

// --- Measuring

static bool compare_losses(Bench *bench) {
    waiting("comparing losses");
    for (int side = 0; side < SIDES; side++)
        trainer_start(bench->net[side]);
    for (int i = 0; i < COMPARED_STEPS; i++) {
        for (int side = 0; side < SIDES; side++)
            bench->loss[side] = trainer_step(bench->net[side]);
        double difference = fabs(bench->loss[0] - bench->loss[1]) / fabs(bench->loss[1]);
        if (isnan(difference) || difference > bench->difference) bench->difference = difference;
    }
    waiting_over();
    return bench->difference <= most_difference;
}

// The threads of the side before keep looking for work for a moment: that is not counted.
static double take_turn(Bench *bench, int side) {
    Trainer *net = bench->net[side];
    trainer_start(net);
    double start = clock_seconds();
    do
        trainer_step(net);
    while (clock_seconds() - start < settling);
    start = clock_seconds();
    for (int i = 0; i < bench->steps[side]; i++)
        trainer_step(net);
    return bench->steps[side] / (clock_seconds() - start);
}

static void run_rounds(Bench *bench) {
    for (int side = 0; side < SIDES; side++) {
        bench->steps[side] = 1;
        double steps = turn_seconds * take_turn(bench, side);
        bench->steps[side] = steps > 1 ? (int)steps : 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double rate[SIDES];
        waiting("measuring, round %d of %d", round + 1, ROUNDS);
        for (int side = 0; side < SIDES; side++) {
            rate[side] = take_turn(bench, side);
            sample_add(&bench->rate[side], rate[side]);
        }
        sample_add(&bench->ratio, rate[0] / rate[1]);
    }
    waiting_over();
}

// --- Report

// OpenBLAS puts blanks around its name.
static const char *library_name(Arena *arena) {
    const char *name = nnc_product_library() + strspn(nnc_product_library(), " ");
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == ' ')
        length--;
    return arena_strndup(arena, name, length);
}

static void print_row(const char *name, const Samples *samples, double unit) {
    double quantile[3];
    for (int i = 0; i < 3; i++)
        quantile[i] = unit * sample_quantile(samples, 0.25 * (i + 1));
    int digits = quantile[1] >= 1000 ? 0 : quantile[1] >= 10 ? 1 : 3;
    printf("  %-22s %11.*f   %.*f .. %.*f\n", name, digits, quantile[1], digits, quantile[0],
           digits, quantile[2]);
}

static void print_table(const Bench *bench) {
    const NncProgram *program = &bench->net[0]->compiled->program;
    Arena *arena = bench->net[0]->settings.arena;
    printf("%s of %s: training, batch %d, %d thread%s, %d rounds\n", program->model, program->file,
           program->batch, bench->threads, bench->threads == 1 ? "" : "s", ROUNDS);
    printf("  baseline: products by %s, one loop for every other operator\n", library_name(arena));
    printf("  losses after %d steps: %.6g and %.6g\n\n", COMPARED_STEPS, bench->loss[0],
           bench->loss[1]);
    printf("  %-22s %11s   quartiles\n", "", "median");
    for (int side = 0; side < SIDES; side++)
        print_row(arena_printf(arena, "%s, steps/s", side_name[side]), &bench->rate[side], 1);
    for (int side = 0; side < SIDES; side++)
        print_row(arena_printf(arena, "%s, examples/s", side_name[side]), &bench->rate[side],
                  program->batch);
    print_row("nnc / baseline", &bench->ratio, 1);
}

static void json_samples(const char *name, const Samples *samples) {
    printf(",\"%s\":{\"median\":", name);
    nnc_json_write_number(stdout, sample_median(samples));
    printf(",\"quartiles\":[");
    nnc_json_write_number(stdout, sample_quantile(samples, 0.25));
    printf(",");
    nnc_json_write_number(stdout, sample_quantile(samples, 0.75));
    printf("]}");
}

static void print_json(const Bench *bench) {
    const NncProgram *program = &bench->net[0]->compiled->program;
    printf("{\"event\":\"bench\",\"model\":");
    nnc_json_write_string(stdout, program->model);
    printf(",\"file\":");
    nnc_json_write_string(stdout, program->file);
    printf(",\"jit\":\"%s\",\"library\":", program->jit);
    nnc_json_write_string(stdout, library_name(bench->net[0]->settings.arena));
    printf(",\"batch\":%d,\"threads\":%d,\"rounds\":%d,\"loss_difference\":", program->batch,
           bench->threads, ROUNDS);
    nnc_json_write_number(stdout, bench->difference);
    json_samples("nnc_steps_per_second", &bench->rate[0]);
    json_samples("baseline_steps_per_second", &bench->rate[1]);
    json_samples("ratio", &bench->ratio);
    printf("}\n");
}

static int draw_plot(const Bench *bench) {
    Trainer *net = bench->net[0];
    Arena *arena = net->settings.arena;
    const NncProgram *program = &net->compiled->program;
    Roofline picture = {
        .title = arena_printf(arena, "%s: training, batch %d, %d thread%s", program->model,
                              program->batch, bench->threads, bench->threads == 1 ? "" : "s"),
        .summary = arena_printf(
            arena, "%.1f steps/s, %.0f examples/s; %.2f times the baseline of %s and loops",
            sample_median(&bench->rate[0]), program->batch * sample_median(&bench->rate[0]),
            sample_median(&bench->ratio), library_name(arena)),
        .machine = machine_measure(&net->settings, net->compiled->target, net->session.pool),
        .profile = profile_run(net, NNC_TRAIN, PROFILE_SECONDS),
        .source = net->compiled->module->source};
    Buf svg = buf_new(arena);
    roofline_draw(&svg, &picture);
    if (!file_write(bench->settings->plot, svg.text, svg.length))
        return report("%s cannot be written", bench->settings->plot);
    return EXIT_DONE;
}

// --- The command

static int run_bench(Bench *bench) {
    bench->threads = nnc_pool_threads(bench->net[0]->session.pool);
    if (!compare_losses(bench))
        return report("what is compared does not compute the same: the losses differ by %.1e "
                      "(relative; %.0e is allowed)",
                      bench->difference, most_difference);
    run_rounds(bench);
    if (bench->settings->run.json)
        print_json(bench);
    else
        print_table(bench);
    return bench->settings->plot ? draw_plot(bench) : EXIT_DONE;
}

int command_bench(const Settings *settings) {
    Bench bench = {.settings = settings};
    Settings whole = *settings; // the two might be split in different ways
    whole.elab.whole = true;
    Settings baseline = whole;
    int status = EXIT_USER;
    baseline.baseline = true;
    bench.net[0] = trainer_open(&whole);
    if (bench.net[0] && !bench.net[0]->compiled->module->graph[NNC_TRAIN])
        report("%s: there is nothing to train: no `train` block (with its data)", settings->file);
    else if (bench.net[0] && (bench.net[1] = trainer_open(&baseline)))
        status = run_bench(&bench);
    for (int side = 0; side < SIDES; side++)
        if (bench.net[side]) trainer_free(bench.net[side]);
    return status;
}
