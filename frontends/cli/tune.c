// SPDX-License-Identifier: MIT
// nnc tune: measures the ways that the compiler chooses between, and keeps what is faster.
//
// First the algorithms, then, with those that were found, the forms of the products. For each of
// the two some versions of the whole program are compiled, in which every site takes its first,
// second .. candidate, and run in turns: so a kernel is measured where it will run, and the number
// of versions is that of a site's candidates. A site's time is what all threads spend in its
// kernels. Those together are taken that were the fastest, if the whole is faster with them; else
// the compiler's.
#include "cli/profile.h"

#include "json.h"
#include "pass/plan.h"
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { MOST_VERSIONS = 4, MOST_COUNTED = 3, ROUNDS = 5, LEAST_RUNS = 3 };
static const double turn_seconds = 0.2;
static const double least_share =
    0.005;                             // of the time of all kernels, that a site is worth measuring
static const double reasonable = 2.5;  // times the cheapest's cost: dearer candidates are not tried
static const double least_gain = 1.03; // times as fast: less may be noise

typedef struct Site {
    const Choice *choice;                 // of the program to start from
    const Candidate *take[MOST_VERSIONS]; // in each version; the first is the compiler's own
    int count;
    double seconds[MOST_VERSIONS];
    int best;
    bool kept; // the whole is faster with the best, or that is the compiler's
} Site;

typedef struct Version {
    const Tuning *tuning;
    Trainer *net;
    Profile *profile;
} Version;

typedef struct Tune {
    const Settings *settings;
    Arena *arena;
    const Target *target;
    NncFunctionKind function;
    Tuning *found; // by the kinds that are done
    int rounds;
    VEC(Site) site;        // of all kinds
    Samples before, after; // a run, the last time that they were compared; after: none
} Tune;

// --- Being stopped: signals are blocked, here and so in the C compiler too, and looked for

static void hold_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

static bool is_stopped(void) {
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGINT) || sigismember(&set, SIGTERM));
}

static void say(const Tune *tune, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(const Tune *tune, const char *format, ...) {
    va_list args;
    if (tune->settings->run.json) return;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

// --- Versions of the program

static bool version_open(const Tune *tune, const Tuning *tuning, Version *version) {
    Settings settings = *tune->settings;
    settings.tuning = tuning;
    version->tuning = tuning;
    version->net = trainer_open(&settings);
    if (version->net) version->profile = profile_new(version->net, tune->function, PROFILE_WORK);
    return version->net != NULL;
}

static void versions_close(Version *version, int count) {
    for (int i = 0; i < count; i++)
        if (version[i].net) trainer_free(version[i].net);
}

static bool has_choice(const Kernel *kernel, const char *site) {
    for (int i = 0; i < kernel->choice.count; i++)
        if (!strcmp(kernel->choice.at[i]->site, site)) return true;
    return false;
}

static bool stores(const Kernel *kernel, const Node *node) {
    for (int i = 0; i < kernel->result.count; i++)
        if (kernel->result.at[i].value == node) return true;
    return false;
}

// A copy of a product's operand that would not be there in another form is the product's, too.
static bool is_copy_for(const Fusion *fusion, const Kernel *copy, const char *site) {
    const Node *value = copy->result.at[0].value;
    if (copy->core || copy->result.count != 1 || value->in_count != 1 ||
        op_info(value->op)->pointwise)
        return false;
    for (int k = 0; k < fusion->kernel.count; k++) {
        const Kernel *kernel = fusion->kernel.at[k];
        for (int i = 0; i < kernel->reads.count && has_choice(kernel, site); i++)
            if (kernel->kind == KERNEL_PRODUCT && stores(copy, kernel->reads.at[i])) return true;
    }
    return false;
}

// What the kernels of a site take in a run; INFINITY: there is no such site in this version.
static double site_seconds(const Profile *profile, const char *site) {
    const Fusion *fusion = profile->plan->fusion;
    double seconds = 0;
    for (int k = 0; k < fusion->kernel.count; k++)
        if (has_choice(fusion->kernel.at[k], site) ||
            is_copy_for(fusion, fusion->kernel.at[k], site))
            seconds += sample_median(&profile->kernel[k]);
    return seconds > 0 ? seconds : INFINITY;
}

// --- Candidates

static bool is_taken(const Site *site, const Candidate *candidate) {
    for (int i = 0; i < site->count; i++)
        if (site->take[i] == candidate) return true;
    return false;
}

// The cheapest that is not there yet; NULL: it is out of reason.
static const Candidate *next_candidate(const Site *site) {
    const Choice *choice = site->choice;
    const Candidate *best = NULL;
    for (int i = 0; i < choice->count; i++)
        if (!is_taken(site, &choice->candidate[i]) &&
            choice->candidate[i].cost <= reasonable * choice->candidate[choice->model].cost &&
            (!best || choice->candidate[i].cost < best->cost))
            best = &choice->candidate[i];
    return best;
}

static void list_candidates(Site *site) {
    const Choice *choice = site->choice;
    const Candidate *next;
    site->take[site->count++] = &choice->candidate[choice->model];
    while (site->count < MOST_COUNTED && (next = next_candidate(site)))
        site->take[site->count++] = next;
    for (int i = 0; i < choice->count; i++) // of which the model knows nothing
        if (isinf(choice->candidate[i].cost) && site->count < MOST_VERSIONS)
            site->take[site->count++] = &choice->candidate[i];
}

// The program that it is of does not stay.
static const Choice *copy_choice(Arena *arena, const Choice *choice) {
    Choice *copy = ARENA_NEW(arena, Choice);
    *copy = *choice;
    copy->site = arena_strdup(arena, choice->site);
    for (int i = 0; i < copy->count; i++)
        copy->candidate[i].name = arena_strdup(arena, choice->candidate[i].name);
    return copy;
}

// Those that are worth it. Returns how many versions their candidates make.
static int list_sites(Tune *tune, const Version *base, ChoiceKind kind) {
    int versions = 1;
    Choices choices = compiled_choices(tune->arena, base->net->compiled, 1u << tune->function);
    double all = 0;
    for (int k = 0; k < base->profile->plan->fusion->kernel.count; k++)
        all += sample_median(&base->profile->kernel[k]);
    for (int i = 0; i < choices.count; i++) {
        if (choices.at[i]->kind != kind) continue;
        Site site = {.choice = copy_choice(tune->arena, choices.at[i])};
        list_candidates(&site);
        if (site.count < 2 || site_seconds(base->profile, site.choice->site) < least_share * all)
            continue;
        if (site.count > versions) versions = site.count;
        VEC_PUSH(tune->arena, tune->site, site);
    }
    return versions;
}

// --- One kind of choice

static Tuning *tuning_copy(Arena *arena, const Tuning *from) {
    Tuning *copy = tuning_new(arena);
    for (int i = 0; i < from->all.count; i++)
        tuning_put(copy, from->all.at[i]);
    return copy;
}

// What stands for a site where its candidate `take` is taken; with what was measured, if it was.
static Tuned tuned_of(const Site *site, int take, bool measured) {
    Tuned tuned = {.site = site->choice->site, .takes = site->take[take]->name};
    for (int i = 0; measured && i < site->count; i++)
        if (isfinite(site->seconds[i]))
            tuned.candidate[tuned.count++] =
                (Candidate){.name = site->take[i]->name, .seconds = site->seconds[i]};
    return tuned;
}

static bool open_versions(Tune *tune, int first_site, Version *version, int count) {
    for (int v = 1; v < count; v++) {
        Tuning *tuning = tuning_copy(tune->arena, tune->found);
        for (int i = first_site; i < tune->site.count; i++) {
            const Site *site = &tune->site.at[i];
            Tuned tuned = tuned_of(site, v < site->count ? v : 0, false);
            tuning_put(tuning, &tuned);
        }
        if (is_stopped() || !version_open(tune, tuning, &version[v])) return false;
    }
    return true;
}

static void go_on(const Tune *tune, const Version *version) {
    profile_go_on(version->profile, turn_seconds, LEAST_RUNS, MAX_SAMPLES / (tune->rounds + 1));
}

// In turns, so that whatever else the machine does meets all of them.
static bool run_rounds(const Tune *tune, Version *version, int count) {
    for (int round = 0; round < tune->rounds; round++)
        for (int v = 0; v < count; v++) {
            if (is_stopped()) return false;
            if (isatty(2)) say(tune, "\r  round %d of %d ", round + 1, tune->rounds);
            go_on(tune, &version[v]);
        }
    if (isatty(2)) say(tune, "\r%20s\r", "");
    return true;
}

static bool choose_best(Tune *tune, int first_site, const Version *version) {
    bool others = false;
    for (int i = first_site; i < tune->site.count; i++) {
        Site *site = &tune->site.at[i];
        for (int v = 0; v < site->count; v++) {
            site->seconds[v] = site_seconds(version[v].profile, site->choice->site);
            if (site->seconds[v] * least_gain < site->seconds[0] &&
                site->seconds[v] < site->seconds[site->best])
                site->best = v;
        }
        site->kept = site->best == 0;
        others |= site->best != 0;
    }
    return others;
}

// Whatever else the machine does only ever makes a run slower.
static double run_seconds(const Samples *runs) { return sample_quantile(runs, 0.25); }

// Is the whole faster with the best of each? False also where that was not found out.
static bool is_whole_faster(Tune *tune, Version *base, const Tuning *best) {
    Version pair[2] = {*base, {0}};
    bool done = !is_stopped() && version_open(tune, best, &pair[1]);
    base->profile->whole.count = 0;
    done = done && run_rounds(tune, pair, 2);
    if (done) tune->before = base->profile->whole, tune->after = pair[1].profile->whole;
    versions_close(&pair[1], 1);
    return done && run_seconds(&tune->after) < run_seconds(&tune->before);
}

// What the sites take from here on. False where it was stopped before that was known.
static bool settle(Tune *tune, int first_site, Version *base, bool others) {
    Tuning *best = tuning_copy(tune->arena, tune->found);
    for (int i = first_site; i < tune->site.count; i++) {
        Tuned tuned = tuned_of(&tune->site.at[i], tune->site.at[i].best, true);
        tuning_put(best, &tuned);
    }
    bool faster = others && is_whole_faster(tune, base, best);
    if (is_stopped()) return false;
    for (int i = first_site; i < tune->site.count; i++) {
        Site *site = &tune->site.at[i];
        site->kept = faster || site->best == 0;
        Tuned tuned = tuned_of(site, site->kept ? site->best : 0, site->kept);
        tuning_put(tune->found, &tuned);
    }
    return true;
}

static bool tune_versions(Tune *tune, Version *version, ChoiceKind kind) {
    static const char *const name[CHOICE_KINDS] = {"algorithm", "form"};
    int first_site = tune->site.count;
    go_on(tune, version);
    if (kind == 0) tune->before = version->profile->whole;
    int count = list_sites(tune, version, kind), sites = tune->site.count - first_site;
    if (sites == 0) return true;
    say(tune, "%ss of %d site%s: compiling %d programs\n", name[kind], sites, sites > 1 ? "s" : "",
        count);
    bool done = open_versions(tune, first_site, version, count) && run_rounds(tune, version, count);
    bool others = done && choose_best(tune, first_site, version);
    versions_close(&version[1], MOST_VERSIONS - 1);
    memset(&version[1], 0, sizeof version[0] * (MOST_VERSIONS - 1));
    done = done && settle(tune, first_site, version, others);
    if (!done) tune->site.count = first_site;
    return done;
}

static bool tune_kind(Tune *tune, ChoiceKind kind) {
    Version version[MOST_VERSIONS] = {0};
    bool done = version_open(tune, tuning_copy(tune->arena, tune->found), &version[0]);
    done = done && tune_versions(tune, version, kind);
    versions_close(version, MOST_VERSIONS);
    return done;
}

// --- Report

static const char *duration(Arena *arena, double seconds) {
    return seconds >= 1e-3 ? arena_printf(arena, "%.2f ms", 1e3 * seconds)
                           : arena_printf(arena, "%.1f us", 1e6 * seconds);
}

static void print_site(const Tune *tune, const Site *site) {
    Arena *arena = tune->arena;
    printf("%s\n", site->choice->site);
    for (int i = 0; i < site->count; i++)
        if (isfinite(site->seconds[i]))
            printf("  %-28s %10s%s%s\n", site->take[i]->name, duration(arena, site->seconds[i]),
                   i == 0 ? "  the compiler's" : "",
                   i != site->best ? ""
                   : site->kept    ? "  taken"
                                   : "  not taken: the whole is no faster");
}

static void print_text(const Tune *tune, const char *path) {
    Arena *arena = tune->arena;
    int unlike = 0;
    for (int i = 0; i < tune->site.count; i++) {
        print_site(tune, &tune->site.at[i]);
        unlike += tune->site.at[i].kept && tune->site.at[i].best != 0;
    }
    printf("%d site%s measured, %d unlike the compiler's choice\n", tune->site.count,
           tune->site.count == 1 ? "" : "s", unlike);
    if (tune->after.count > 0)
        printf("a run: %s before, %s with what was the fastest\n",
               duration(arena, run_seconds(&tune->before)),
               duration(arena, run_seconds(&tune->after)));
    if (path) printf("kept in %s\n", path);
}

static void print_json(const Tune *tune, const char *path) {
    for (int i = 0; i < tune->site.count; i++) {
        const Site *site = &tune->site.at[i];
        printf("{\"event\":\"site\",\"site\":");
        nnc_json_write_string(stdout, site->choice->site);
        printf(",\"model\":");
        nnc_json_write_string(stdout, site->take[0]->name);
        printf(",\"takes\":");
        nnc_json_write_string(stdout, site->take[site->kept ? site->best : 0]->name);
        for (int c = 0; c < site->count; c++) {
            printf(c ? ",{\"name\":" : ",\"candidates\":[{\"name\":");
            nnc_json_write_string(stdout, site->take[c]->name);
            printf(",\"seconds\":");
            nnc_json_write_number(stdout, site->seconds[c]);
            printf("}");
        }
        printf("]}\n");
    }
    printf("{\"event\":\"tune\",\"sites\":%d,\"stopped\":%s", tune->site.count,
           is_stopped() ? "true" : "false");
    if (path) printf(",\"file\":");
    if (path) nnc_json_write_string(stdout, path);
    printf("}\n");
}

// --- The command

static int run_tune(Tune *tune) {
    bool done = true;
    for (ChoiceKind kind = 0; kind < CHOICE_KINDS && done; kind++)
        done = tune_kind(tune, kind);
    if (!done && !is_stopped()) return EXIT_USER;
    const char *path = NULL;
    if (tune->found->all.count > 0) {
        path = tuned_keep(tune->settings, tune->target, tune->found);
        if (!path) return EXIT_USER;
    }
    if (!done) say(tune, "stopped: what was found until then is kept\n");
    if (tune->settings->run.json)
        print_json(tune, path);
    else
        print_text(tune, path);
    return EXIT_DONE;
}

// From the compiler's choices on, whatever was found before.
int command_tune(const Settings *given) {
    Settings own = *given, *settings = &own;
    Tune tune = {.settings = settings, .arena = settings->arena};
    Module *module = load_module(settings);
    if (!module) return EXIT_USER;
    settings->tuning = tune.found = tuning_new(tune.arena);
    tune.target = load_target(settings);
    if (!tune.target) return EXIT_USER;
    if (tune.target->lanes == 0)
        return report("there is nothing to choose in code for libtcc: a C compiler is needed");
    tune.function = chosen_function(settings, module);
    if (!module->graph[tune.function])
        return report("%s has nothing to %s", settings->file, function_name(tune.function));
    tune.rounds = settings->rounds ? settings->rounds : ROUNDS;
    hold_signals();
    return run_tune(&tune);
}
