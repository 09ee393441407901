// SPDX-License-Identifier: MIT
// csv("FILE"): a table, an example a line. The first line names the columns; `names` does where
// there is no such line. A column of numbers is a field of reals, one of texts a label, whose
// classes are its different texts, sorted. A value that is missing is an error.
//
//     csv("iris.csv", test = "more.csv")                    examples to test on, of another file
//     csv("wine.csv.gz", test = 0.2, seed = 1)              of the same, so many of them
//     csv("x.csv", separator = ";", names = "a, b, price")
//
// A file is read into memory and gone through three times: which columns are numbers, which texts
// there are, and the values. They are kept line by line, as an example has them.
#include "csv.h"
#include "draw.h"
#include "file.h"
#include "source.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 4096, MAX_COLUMNS = 1 << 14, WHY = 120 };
static const size_t max_size = (size_t)4 << 30;

typedef struct Column {
    char *name;
    bool is_text;
    char why[WHY]; // the first value that is no number, or the first class too many
    char **class;  // class_count of them, sorted; more than MAX_CLASSES: texts, but no label
    int class_count;
    int field; // of the source; -1: none
} Column;

typedef union Value {
    float number;
    int32_t class;
} Value;

typedef struct Rows { // of one file
    char path[NNC_PATH];
    Value *value; // count x columns
    long long *line, count;
} Rows;

typedef struct Table {
    char separator;
    const char *names; // instead of a first line; NULL
    Column *column;
    int columns, fields;
    Rows rows[NNC_SPLITS];        // the second one's where the test has a file of its own
    long long *index[NNC_SPLITS]; // of examples in rows[0], where it has not
} Table;

// --- Going through a file

typedef struct Pass Pass;
struct Pass {
    Table *table;
    Rows *rows;
    NncCsv csv;
    NncStatus (*visit)(Pass *pass, Column *column, long long row, int at, NncError *error);
};

static NncStatus visit_record(Pass *pass, long long row, NncError *error) {
    NncStatus status;
    int at = 0, columns = pass->table->columns;
    NncCsv *csv = &pass->csv;
    do {
        if ((status = nnc_csv_value(csv, error))) return status;
        if (at == columns)
            return nnc_csv_error(csv, error, "more than the %d values that have names", columns);
        Column *column = &pass->table->column[at];
        if (!csv->length)
            return nnc_csv_error(csv, error, "the value of %s is missing", column->name);
        if ((status = pass->visit(pass, column, row, at++, error))) return status;
    } while (!csv->last);
    if (at < columns)
        return nnc_csv_error(csv, error, "the line ends here: the value of %s is missing",
                             pass->table->column[at].name);
    return NNC_OK;
}

static NncStatus visit_rows(Pass pass, long long *count, NncError *error) {
    NncStatus status = NNC_OK;
    long long row = 0;
    for (; !status && nnc_csv_more(&pass.csv); row++)
        status = visit_record(&pass, row, error);
    free(pass.csv.value);
    *count = row;
    return status;
}

static NncStatus note_kind(Pass *pass, Column *column, long long row, int at, NncError *error) {
    float number;
    (void)row, (void)at, (void)error;
    if (column->is_text || nnc_csv_number(pass->csv.value, &number)) return NNC_OK;
    column->is_text = true;
    snprintf(column->why, WHY, "%s:%lld:%lld: '%.24s' is no number", pass->csv.path, pass->csv.line,
             pass->csv.column, pass->csv.value);
    return NNC_OK;
}

static bool is_label(const Column *column) { return column->class_count <= MAX_CLASSES; }

// Where a class is, or should be, among the sorted ones.
static int find_class(const Column *column, const char *name, bool *found) {
    int low = 0, high = column->class_count;
    *found = false;
    while (low < high && !*found) {
        int middle = low + (high - low) / 2, order = strcmp(name, column->class[middle]);
        *found = order == 0;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

static NncStatus note_class(Pass *pass, Column *column, long long row, int at, NncError *error) {
    (void)row, (void)at;
    bool found;
    if (!column->is_text || !is_label(column)) return NNC_OK;
    int place = find_class(column, pass->csv.value, &found);
    if (found) return NNC_OK;
    if (!column->class) column->class = malloc((MAX_CLASSES + 1) * sizeof *column->class);
    char *name = column->class ? strdup(pass->csv.value) : NULL;
    if (!name) return nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory", pass->csv.path);
    memmove(column->class + place + 1, column->class + place,
            (size_t)(column->class_count - place) * sizeof *column->class);
    column->class[place] = name;
    column->class_count++;
    if (!is_label(column))
        snprintf(column->why, WHY, "%s:%lld:%lld: '%.24s' is its text number %d, a label has up to %d",
                 pass->csv.path, pass->csv.line, pass->csv.column, name, column->class_count,
                 MAX_CLASSES);
    return NNC_OK;
}

static NncStatus store(Pass *pass, Column *column, long long row, int at, NncError *error) {
    bool found;
    (void)at;
    if (!is_label(column)) return NNC_OK;
    Value *value = &pass->rows->value[row * pass->table->fields + column->field];
    if (!pass->rows->line[row]) pass->rows->line[row] = pass->csv.line;
    if (!column->is_text) {
        if (nnc_csv_number(pass->csv.value, &value->number)) return NNC_OK;
        return nnc_csv_error(&pass->csv, error, "'%.24s' is no number, but all values of %s are",
                             pass->csv.value, column->name);
    }
    value->class = find_class(column, pass->csv.value, &found);
    if (found) return NNC_OK;
    return nnc_csv_error(&pass->csv, error, "'%.24s' is none of the %d classes of %s in %s",
                         pass->csv.value, column->class_count, column->name,
                         pass->table->rows[0].path);
}

// --- The first line

static NncStatus add_column(Table *table, const NncCsv *csv, NncError *error) {
    float number;
    if (!csv->length) return nnc_csv_error(csv, error, "a column without a name");
    if (!table->names && nnc_csv_number(csv->value, &number))
        return nnc_csv_error(csv, error,
                             "the first line names the columns, and '%.24s' is a number; "
                             "names = \"..\" names those of a file without such a line",
                             csv->value);
    for (int i = 0; i < table->columns; i++)
        if (!strcmp(table->column[i].name, csv->value))
            return nnc_csv_error(csv, error, "a second column named %.64s", csv->value);
    if (table->columns == MAX_COLUMNS)
        return nnc_csv_error(csv, error, "more than %d columns", MAX_COLUMNS);
    bool full = (table->columns & (table->columns - 1)) == 0; // room: 1, 2, 4, 8 ..
    size_t room = table->columns ? 2 * (size_t)table->columns : 1;
    Column *grown = full ? realloc(table->column, room * sizeof *grown) : table->column;
    char *name = strdup(csv->value);
    if (grown) table->column = grown;
    if (!grown || !name) {
        free(name);
        return nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory", csv->path);
    }
    table->column[table->columns++] = (Column){.name = name, .field = -1};
    return NNC_OK;
}

static NncStatus read_names(Table *table, NncCsv *csv, NncError *error) {
    if (!nnc_csv_more(csv))
        return nnc_error(error, NNC_ERROR_FORMAT, "%s:1:1: expected names of columns", csv->path);
    NncStatus status;
    do {
        status = nnc_csv_value(csv, error);
        if (!status) status = add_column(table, csv, error);
    } while (!status && !csv->last);
    return status;
}

static NncStatus find_columns(Table *table, NncCsv *csv, NncError *error) {
    if (!table->names) return read_names(table, csv, error);
    NncCsv names = nnc_csv("names", table->names, strlen(table->names), ',');
    NncStatus status = read_names(table, &names, error);
    free(names.value);
    return status;
}

// The first line of a second file: the same names.
static NncStatus check_names(const Table *table, NncCsv *csv, NncError *error) {
    NncStatus status = NNC_OK;
    nnc_csv_more(csv);
    for (int i = 0; i < table->columns && !table->names; i++) {
        if ((status = nnc_csv_value(csv, error))) return status;
        const char *name = table->column[i].name;
        if (strcmp(name, csv->value) != 0 || csv->last != (i == table->columns - 1))
            return nnc_csv_error(csv, error, "expected the columns of %s: %s, found '%.64s'",
                                 table->rows[0].path, name, csv->value);
    }
    return status;
}

// --- A file

static NncStatus add_fields(Table *table, NncSource *source, NncError *error) {
    NncStatus status = NNC_OK;
    for (int i = 0; i < table->columns && !status; i++) {
        Column *column = &table->column[i];
        column->field = table->fields++;
        NncField field = {.name = column->name,
                          .kind = !column->is_text    ? NNC_FIELD_REALS
                                  : is_label(column) ? NNC_FIELD_LABEL
                                                     : NNC_FIELD_TEXTS,
                          .classes = is_label(column) ? column->class_count : 0,
                          .class_name = (const char *const *)column->class,
                          .why = column->is_text ? column->why : NULL};
        status = nnc_source_add(source, &field, error);
    }
    return status;
}

static NncStatus fill_rows(Table *table, Rows *rows, NncCsv csv, NncError *error) {
    size_t values = (size_t)rows->count * (size_t)table->fields;
    rows->value = calloc(values + 1, sizeof *rows->value);
    rows->line = calloc((size_t)rows->count + 1, sizeof *rows->line);
    if (!rows->value || !rows->line)
        return nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory for %zu values", csv.path, values);
    return visit_rows((Pass){table, rows, csv, store}, &rows->count, error);
}

static NncStatus count_rows(Pass *pass, Column *column, long long row, int at, NncError *error) {
    (void)pass, (void)column, (void)row, (void)at, (void)error;
    return NNC_OK;
}

// `csv` is at the first value: a copy of it goes through the file.
static NncStatus read_rows(Table *table, NncSource *source, Rows *rows, NncCsv csv,
                           NncError *error) {
    bool first = rows == table->rows;
    csv.value = NULL;
    csv.length = csv.room = 0;
    NncStatus status =
        visit_rows((Pass){table, rows, csv, first ? note_kind : count_rows}, &rows->count, error);
    if (!status && !rows->count)
        return nnc_error(error, NNC_ERROR_FORMAT, "%s:%lld:1: there are no values", csv.path,
                         csv.at_line);
    if (!status && first)
        status = visit_rows((Pass){table, rows, csv, note_class}, &rows->count, error);
    if (!status && first) status = add_fields(table, source, error);
    return status ? status : fill_rows(table, rows, csv, error);
}

static NncStatus read_text(Table *table, NncSource *source, Rows *rows, const char *text,
                           size_t size, NncError *error) {
    NncCsv csv = nnc_csv(rows->path, text, size, table->separator);
    NncStatus status =
        rows == table->rows ? find_columns(table, &csv, error) : check_names(table, &csv, error);
    if (!status) status = read_rows(table, source, rows, csv, error);
    free(csv.value);
    return status;
}

static NncStatus read_file(Table *table, NncSource *source, Rows *rows, const char *path,
                           const char *data, NncError *error) {
    char *text = NULL;
    size_t size;
    NncStatus status = nnc_file_find(rows->path, data, path, "the file of csv", error);
    NncReader *reader = status ? NULL : nnc_reader_open(rows->path, error);
    if (!reader) return error->status;
    status = nnc_reader_take_all(reader, &text, &size, max_size, error);
    nnc_reader_close(reader);
    if (!status) status = read_text(table, source, rows, text, size, error);
    free(text);
    return status;
}

// --- Splits

// So many of the lines, drawn, in their order (Knuth 3.4.2 S).
static NncStatus split_rows(Table *table, NncSource *source, double share, long long seed,
                            NncError *error) {
    long long count = table->rows[0].count, wanted = (long long)(share * (double)count + 0.5);
    if (share > 0 && wanted < 1) wanted = 1;
    if (wanted >= count)
        return nnc_error(error, NNC_ERROR_VALUE,
                         "%s: %lld examples cannot be divided: nothing is left to train on",
                         table->rows[0].path, count);
    for (int split = 0; split < NNC_SPLITS; split++)
        table->index[split] = malloc((size_t)count * sizeof **table->index);
    if (!table->index[NNC_SPLIT_TRAIN] || !table->index[NNC_SPLIT_TEST])
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory for %lld examples", count);
    NncDraw draw = nnc_draw((uint64_t)seed, (uint64_t)count, 0);
    for (long long row = 0; row < count; row++) {
        double left = (double)(count - row);
        bool take = (double)(nnc_draw_bits(&draw) >> 11) * 0x1p-53 * left < (double)wanted;
        NncSplit split = take ? NNC_SPLIT_TEST : NNC_SPLIT_TRAIN;
        wanted -= take;
        table->index[split][source->count[split]++] = row;
    }
    return NNC_OK;
}

static const Rows *find_row(const NncSource *source, const NncExample *example, long long *row) {
    const Table *table = source->own;
    const long long *index = table->index[example->split];
    *row = index ? index[example->index] : example->index;
    return &table->rows[index ? 0 : example->split];
}

// --- The source

static NncStatus read_example(const NncSource *source, const NncExample *example, NncError *error) {
    (void)error;
    long long row;
    const Rows *rows = find_row(source, example, &row);
    memcpy(example->values, rows->value + row * source->field_count, source->example_bytes);
    return NNC_OK;
}

static void describe_place(const NncSource *source, const NncExample *example, char *text,
                           size_t size) {
    long long row;
    const Rows *rows = find_row(source, example, &row);
    snprintf(text, size, "%s:%lld", rows->path, rows->line[row]);
}

static void free_table(NncSource *source) {
    Table *table = source->own;
    for (int i = 0; i < table->columns; i++) {
        for (int k = 0; k < table->column[i].class_count; k++)
            free(table->column[i].class[k]);
        free(table->column[i].class);
        free(table->column[i].name);
    }
    for (int split = 0; split < NNC_SPLITS; split++) {
        free(table->rows[split].value);
        free(table->rows[split].line);
        free(table->index[split]);
    }
    free(table->column);
    free(table);
}

typedef struct Arguments {
    const char *file, *test_file, *separator, *names;
    double share;
    long long seed;
} Arguments;

static NncStatus read_arguments(const NncCall *call, Arguments *a, NncError *error) {
    static const char *const names[] = {"file", "test", "seed", "separator", "names", NULL};
    *a = (Arguments){.file = "", .separator = ",", .share = 0.2, .seed = 1};
    NncStatus status = nnc_arguments_check(call, names, 1, error);
    if (!status) status = nnc_argument_text(call, "file", 0, &a->file, error);
    if (!status)
        status = nnc_argument_is_text(call, "test", -1)
                     ? nnc_argument_text(call, "test", -1, &a->test_file, error)
                     : nnc_argument_real(call, "test", -1, &a->share, error);
    if (!status) status = nnc_argument_integer(call, "seed", -1, 0, 1LL << 53, &a->seed, error);
    if (!status) status = nnc_argument_text(call, "separator", -1, &a->separator, error);
    if (!status) status = nnc_argument_text(call, "names", -1, &a->names, error);
    if (status) return status;
    if (!(a->share >= 0 && a->share < 1))
        return nnc_error(error, NNC_ERROR_VALUE,
                         "csv: test is the part to test on, from 0 to below 1, or a file, not %g",
                         a->share);
    if (strlen(a->separator) != 1 || strchr("\"\r\n", *a->separator))
        return nnc_error(error, NNC_ERROR_VALUE, "csv: separator is one character, not \"%.16s\"",
                         a->separator);
    return NNC_OK;
}

NncStatus nnc_csv_fields(const NncCall *call, NncField *field, int *count, NncError *error) {
    Arguments arguments;
    (void)field;
    *count = 0; // the file's first line tells
    return read_arguments(call, &arguments, error);
}

NncStatus nnc_csv_open(NncSource *source, const NncCall *call, const char *data, NncError *error) {
    Arguments a;
    NncStatus status = read_arguments(call, &a, error);
    if (status) return status;
    Table *table = calloc(1, sizeof *table);
    if (!table) return nnc_error(error, NNC_ERROR_MEMORY, "no memory for csv");
    table->separator = *a.separator;
    table->names = a.names;
    source->own = table;
    source->read = read_example;
    source->place = describe_place;
    source->close = free_table;
    status = read_file(table, source, &table->rows[0], a.file, data, error);
    if (!status && a.test_file)
        status = read_file(table, source, &table->rows[NNC_SPLIT_TEST], a.test_file, data, error);
    if (status || !a.test_file)
        return status ? status : split_rows(table, source, a.share, a.seed, error);
    for (int split = 0; split < NNC_SPLITS; split++)
        source->count[split] = table->rows[split].count;
    return NNC_OK;
}
