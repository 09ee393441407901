// SPDX-License-Identifier: MIT
// Builds the loop nest of a kernel by pulling: value_at(node, index) is the node's element there.
#include "pass/loops.h"
#include "pass/index.h"
#include "pass/tiling.h"
#include "support/map.h"

#include <string.h>

typedef struct Builder {
    Loops *loops;
    const Fusion *fusion;
    const Kernel *kernel;
    Map *memo;         // (node, index) -> Value
    Value *reduction;  // the outermost one that is open, or NULL
    struct Kept *kept; // of each of kernel->inside
} Builder;

typedef struct Kept {
    const Value *from; // the reduction in which the row is computed and kept,
    Value *after;      // which it is there behind
    Value *value;      // what is kept, if it is read again
} Kept;

typedef struct Place { // an element of a tensor
    Index at[MAX_RANK];
} Place;

static Value *value_at(Builder *b, const Node *node, const Place *place);

static Value *new_value(Builder *b, ValueKind kind, const Node *node) {
    Value *value = ARENA_NEW(b->loops->arena, Value);
    value->id = b->loops->value.count;
    value->kind = kind;
    value->node = node;
    value->dtype = node->dtype;
    return value; // counted when finished: inputs come first
}

static Value *add_value(Builder *b, Value *value) {
    value->id = b->loops->value.count;
    VEC_PUSH(b->loops->arena, b->loops->value, value);
    return value;
}

static Value *const_value(Builder *b, const Node *node, double number) {
    Value *value = new_value(b, VALUE_CONST, node);
    value->number = number;
    return add_value(b, value);
}

// The row-major index of a place, with the strides that the batch gives.
static Index linear_index(const Builder *b, const Shape *shape, const Place *place) {
    Index linear = index_const(0);
    for (int axis = 0; axis < shape->rank; axis++)
        linear = index_add(index_scale(linear, dim_eval(shape->dim[axis], b->loops->batch)),
                           place->at[axis]);
    return linear;
}

// The same with the extents of the run: the number of the element among those that there are.
static Index element_number(const Builder *b, const Shape *shape, const Place *place) {
    Index number = index_const(0);
    for (int axis = 0; axis < shape->rank; axis++)
        number = index_add(index_times(b->loops, number, shape->dim[axis]), place->at[axis]);
    return number;
}

static Value *load(Builder *b, const Node *node, Storage from, const Place *place) {
    Value *value = new_value(b, VALUE_LOAD, node);
    value->buffer = from.buffer;
    value->index = index_add(linear_index(b, &node->shape, place), index_const(from.offset));
    value->start = from.offset;
    for (int axis = node->shape.rank - 1; axis >= 0; axis--)
        if (!dim_is_one(node->shape.dim[axis])) value->first = place->at[axis];
    return add_value(b, value);
}

// --- Guards

// Adds to `condition` what is not certain of 0 <= index < extent, multiple | index. False: it never
// holds.
static bool add_condition(const Builder *b, Condition *condition, int *count, Index index,
                          Dim extent, int64_t multiple) {
    int64_t low, high, least = dim_eval(extent, 1), most = dim_eval(extent, b->loops->batch);
    index_bounds(b->loops, &index, &low, &high);
    if (high < 0 || low >= most) return false;
    // An index below N by its own loop's extent is below N for every n.
    bool own = index.count == 1 && index.constant == 0 && index.term[0].coef == 1 &&
               dim_equal(b->loops->var[index.term[0].var].extent, extent);
    Condition c = {index, extent, multiple, low < 0,
                   !own && high >= (dim_is_const(extent) ? most : least)};
    bool divides = index.constant % multiple == 0;
    for (int i = 0; i < index.count; i++)
        divides &= index.term[i].coef % multiple == 0;
    if (divides) c.multiple = 1;
    if (c.check_low || c.check_high || c.multiple != 1) condition[(*count)++] = c;
    return true;
}

static Value *guard(Builder *b, const Node *node, const Condition *condition, int count, Value *yes,
                    Value *no) {
    if (count == 0) return yes;
    Value *value = new_value(b, VALUE_GUARD, node);
    value->condition = ARENA_ARRAY(b->loops->arena, Condition, count);
    memcpy(value->condition, condition, sizeof *condition * (size_t)count);
    value->condition_count = count;
    value->in_count = 2;
    value->in[0] = yes;
    value->in[1] = no;
    return add_value(b, value);
}

static Value *pad_at(Builder *b, const Node *node, const Place *place) {
    const Node *in = node->in[0];
    Condition condition[MAX_RANK];
    Place inner;
    int count = 0;
    memset(&inner, 0, sizeof inner);
    for (int axis = 0; axis < node->shape.rank; axis++) {
        const PadAxis *pad = &node->attr->pad[axis];
        int64_t step = pad->interior + 1;
        Index index = index_add(place->at[axis], index_const(-pad->low));
        Dim spread, extent = in->shape.dim[axis];
        if (!dim_mul(&spread, extent, dim_const(step)) ||
            !dim_sub(&spread, spread, dim_const(pad->interior)))
            bug("extent of a pad overflows");
        if (!add_condition(b, condition, &count, index, spread, step))
            return const_value(b, node, node->attr->value);
        // Behind the guard the index is not negative and divides.
        inner.at[axis] = step == 1 ? index : index_divide(b->loops, index, dim_const(step));
    }
    Value *yes = value_at(b, in, &inner);
    return count ? guard(b, node, condition, count, yes, const_value(b, node, node->attr->value))
                 : yes;
}

static Value *concat_at(Builder *b, const Node *node, const Place *place) {
    int axis = node->attr->axis;
    Value *value = NULL;
    for (int i = node->in_count - 1; i >= 0; i--) {
        Dim start = dim_const(0);
        for (int k = 0; k < i; k++)
            if (!dim_add(&start, start, node->in[k]->shape.dim[axis]))
                bug("extent of a concat overflows");
        Place inner = *place;
        Index first = index_times(b->loops, index_const(1), start);
        inner.at[axis] = index_add(place->at[axis], index_scale(first, -1));
        Condition condition[1];
        int count = 0;
        if (!add_condition(b, condition, &count, inner.at[axis], node->in[i]->shape.dim[axis], 1))
            continue;
        Value *part = value_at(b, node->in[i], &inner);
        value = value ? guard(b, node, condition, count, part, value) : part;
    }
    return value ? value : const_value(b, node, 0);
}

// --- Reductions

static Value *open_reduction(Builder *b, const Node *node, Op op) {
    Value *value = new_value(b, VALUE_REDUCE, node);
    value->op = op;
    value->condition = ARENA_ARRAY(b->loops->arena, Condition, 3 * MAX_RANK);
    return value;
}

static Index reduction_var(Builder *b, Value *value, Dim extent) {
    if (dim_is_one(extent)) return index_const(0);
    int var = loops_add_var(b->loops, VAR_REDUCE, extent);
    value->var[value->var_count++] = var;
    return index_var(var);
}

static Value *close_reduction(Builder *b, Value *value, Value *body) {
    if (body->kind == VALUE_REDUCE && value->op == OP_reduce_sum && body->op == OP_reduce_sum &&
        body->var_count + value->var_count <= 2 * MAX_RANK &&
        body->condition_count + value->condition_count <= 3 * MAX_RANK) {
        for (int i = 0; i < body->var_count; i++) // a sum of sums is one
            value->var[value->var_count++] = body->var[i];
        for (int i = 0; i < body->condition_count; i++)
            value->condition[value->condition_count++] = body->condition[i];
        if (b->loops->value.at[b->loops->value.count - 1] == body) b->loops->value.count--;
        body = body->in[0];
    }
    value->in[0] = body;
    value->in_count = 1;
    return add_value(b, value);
}

// What the reduction has kept of a row can be read behind it.
static Value *close_keeping(Builder *b, Value *value, Value *body) {
    Value *closed = close_reduction(b, value, body);
    if (b->reduction != value) return closed;
    for (int i = 0; i < b->kernel->inside.count; i++)
        if (b->kept[i].from == value) b->kept[i].after = closed;
    b->reduction = NULL;
    return closed;
}

static Value *reduce_at(Builder *b, const Node *node, const Place *place) {
    const Node *in = node->in[0];
    Value *value = open_reduction(b, node, node->op);
    Place inner;
    int kept = 0;
    if (!b->reduction) b->reduction = value;
    value->index = index_const(0);
    for (int axis = 0; axis < in->shape.rank; axis++) {
        if (!(node->attr->axes >> axis & 1)) {
            inner.at[axis] = place->at[kept++];
            continue;
        }
        inner.at[axis] = reduction_var(b, value, in->shape.dim[axis]);
        value->index =
            index_add(index_times(b->loops, value->index, in->shape.dim[axis]), inner.at[axis]);
    }
    return close_keeping(b, value, value_at(b, in, &inner));
}

static Value *fold_at(Builder *b, const Node *node, const Place *place) {
    const WindowAttr *window = &node->attr->window;
    const Node *in = node->in[0];
    Value *value = open_reduction(b, node, OP_reduce_sum);
    Place inner;
    for (int axis = 0; axis < window->axis; axis++)
        inner.at[axis] = place->at[axis];
    for (int axis = window->axis + 1; axis < node->shape.rank; axis++)
        inner.at[axis + 1] = place->at[axis];
    Dim outputs = in->shape.dim[window->axis], spread;
    Index tap = reduction_var(b, value, in->shape.dim[window->axis + 1]);
    Index start = index_add(place->at[window->axis], index_scale(tap, -window->dilation));
    if (!dim_mul(&spread, outputs, dim_const(window->stride)) ||
        !dim_sub(&spread, spread, dim_const(window->stride - 1)))
        bug("extent of a fold overflows");
    if (!add_condition(b, value->condition, &value->condition_count, start, spread, window->stride))
        return const_value(b, node, 0);
    inner.at[window->axis + 1] = tap;
    inner.at[window->axis] =
        window->stride == 1 ? start : index_divide(b->loops, start, dim_const(window->stride));
    return close_reduction(b, value, value_at(b, in, &inner));
}

static Index access_index(Builder *b, Value *value, const Access *access, const Index *loop,
                          Dim extent, bool *never) {
    Index index = index_const(access->offset);
    Dim spread;
    for (int i = 0; i < 2; i++)
        if (access->index[i] >= 0)
            index = index_add(index, index_scale(loop[access->index[i]], access->coef[i]));
    if (!dim_mul(&spread, extent, dim_const(access->divisor)) ||
        !dim_sub(&spread, spread, dim_const(access->divisor - 1)))
        bug("extent of an access overflows");
    if (!add_condition(b, value->condition, &value->condition_count, index, spread,
                       access->divisor))
        *never = true;
    return access->divisor == 1 ? index : index_divide(b->loops, index, dim_const(access->divisor));
}

static Value *contract_at(Builder *b, const Node *node, const Place *place) {
    const ContractAttr *attr = node->attr->contract;
    Value *value = open_reduction(b, node, OP_reduce_sum);
    Index loop[2 * MAX_RANK];
    Place at[2];
    bool never = false;
    for (int axis = 0; axis < node->shape.rank; axis++)
        loop[axis] = place->at[axis];
    for (int i = 0; i < attr->summed; i++)
        loop[node->shape.rank + i] = reduction_var(b, value, attr->extent[i]);
    for (int operand = 0; operand < 2; operand++)
        for (int axis = 0; axis < node->in[operand]->shape.rank; axis++)
            at[operand].at[axis] = access_index(b, value, operand ? &attr->b[axis] : &attr->a[axis],
                                                loop, node->in[operand]->shape.dim[axis], &never);
    if (never) return const_value(b, node, 0);
    Value *product = new_value(b, VALUE_POINT, node);
    product->op = OP_mul;
    product->in_count = 2;
    product->in[0] = value_at(b, node->in[0], &at[0]);
    product->in[1] = value_at(b, node->in[1], &at[1]);
    return close_reduction(b, value, add_value(b, product));
}

// --- Movements

static Value *moved(Builder *b, const Node *node, const Place *place) {
    const Node *in = node->in[0];
    const Attr *attr = node->attr;
    Place inner;
    int kept = 0;
    memset(&inner, 0, sizeof inner);
    switch (node->op) {
    case OP_reshape:
        index_reshape(b->loops, &in->shape, &node->shape, place->at, inner.at);
        break;
    case OP_permute:
        for (int axis = 0; axis < node->shape.rank; axis++)
            inner.at[attr->perm[axis]] = place->at[axis];
        break;
    case OP_broadcast:
        for (int axis = 0; axis < node->shape.rank; axis++)
            if (!(attr->axes >> axis & 1)) inner.at[kept++] = place->at[axis];
        break;
    case OP_slice:
        for (int axis = 0; axis < node->shape.rank; axis++)
            inner.at[axis] = index_add(index_scale(place->at[axis], attr->slice[axis].step),
                                       index_const(attr->slice[axis].start));
        break;
    case OP_flip:
        for (int axis = 0; axis < node->shape.rank; axis++) {
            inner.at[axis] = place->at[axis];
            if (!(attr->axes >> axis & 1)) continue;
            Index last = index_add(index_times(b->loops, index_const(1), node->shape.dim[axis]),
                                   index_const(-1));
            inner.at[axis] = index_add(last, index_scale(place->at[axis], -1));
        }
        break;
    case OP_window:
        for (int axis = 0; axis < in->shape.rank; axis++)
            inner.at[axis] = place->at[axis + (axis > attr->window.axis)];
        inner.at[attr->window.axis] =
            index_add(index_scale(place->at[attr->window.axis], attr->window.stride),
                      index_scale(place->at[attr->window.axis + 1], attr->window.dilation));
        break;
    default:
        bug("%s is no movement", op_info(node->op)->name);
    }
    return value_at(b, in, &inner);
}

static Value *gather_at(Builder *b, const Node *node, const Place *place) {
    const Node *table = node->in[0], *rows = node->in[1];
    Place row = {0}, at;
    for (int axis = 0; axis < rows->shape.rank; axis++)
        row.at[axis] = place->at[axis];
    int var = loops_add_var(b->loops, VAR_VALUE, table->shape.dim[0]);
    b->loops->var[var].value = value_at(b, rows, &row);
    at.at[0] = index_var(var);
    for (int axis = 1; axis < table->shape.rank; axis++)
        at.at[axis] = place->at[rows->shape.rank + axis - 1];
    Condition inside = {at.at[0], table->shape.dim[0], 1, true, true};
    return guard(b, node, &inside, 1, value_at(b, table, &at), const_value(b, node, 0));
}

// --- Everything

static Value *indexed(Builder *b, ValueKind kind, const Node *node, Index index) {
    Value *value = new_value(b, kind, node);
    value->index = index;
    value->stream = node->op == OP_random ? node->attr->name : NULL;
    value->slot = b->fusion->scalar_slot[node->id];
    return add_value(b, value);
}

static Value *pointwise_at(Builder *b, const Node *node, const Place *place, ValueKind kind) {
    Value *in[3] = {0};
    for (int i = 0; i < node->in_count; i++)
        in[i] = value_at(b, node->in[i], place);
    Value *value = new_value(b, kind, node);
    value->op = node->op;
    value->in_count = node->in_count;
    memcpy(value->in, in, sizeof in);
    return add_value(b, value);
}

static Index outside_var(Loops *loops, const char *name, Dim extent) {
    int var = loops_add_var(loops, VAR_OUTSIDE, extent);
    loops->var[var].name = name;
    return index_var(var);
}

// Of a tile, whose first element is the C variable `corner`.
static Index index_in_tile(Builder *b, int64_t columns, const Place *place) {
    Index corner = outside_var(b->loops, "corner", dim_const(1));
    Index row = index_scale(place->at[1], columns);
    return index_add(index_add(row, place->at[2]), index_scale(corner, -1));
}

// An element of the product: in the result's place, or in scratch memory, which holds a tile or one
// of its batch.
static Value *carry(Builder *b, const Node *node, const Place *place) {
    Value *value = new_value(b, VALUE_CARRY, node);
    Storage to = b->kernel->result.at[0].to;
    const Tiling *tiling = b->kernel->tiling;
    Place at = *place;
    if (tiling && tiling->tile_columns) {
        value->buffer = b->kernel->product;
        value->index = index_in_tile(b, tiling->tile_columns, place);
        return add_value(b, value);
    }
    if (b->kernel->product) {
        Index own = index_var(b->loops->loop[0]);
        bool several = !dim_is_one(node->shape.dim[0]);
        if (several && !index_equal(&place->at[0], &own)) bug("another example's product");
        at.at[0] = index_const(0);
        to = (Storage){b->kernel->product, 0};
    }
    value->buffer = to.buffer;
    value->index = index_add(linear_index(b, &node->shape, &at), index_const(to.offset));
    return add_value(b, value);
}

static Value *compute(Builder *b, const Node *node, const Place *place) {
    int slot = b->fusion->scalar_slot[node->id];
    if (node == b->kernel->core &&
        (b->kernel->kind == KERNEL_PRODUCT || b->kernel->kind == KERNEL_WINO))
        return carry(b, node, place);
    if (slot >= 0) return indexed(b, VALUE_SCALAR, node, index_const(0));
    switch (node->op) {
    case OP_const:
        return const_value(b, node, node->attr->value);
    case OP_iota:
        return indexed(b, VALUE_INDEX, node, place->at[node->attr->axis]);
    case OP_random:
        return indexed(b, VALUE_RANDOM, node, element_number(b, &node->shape, place));
    case OP_cast:
        return pointwise_at(b, node, place, VALUE_CAST);
    case OP_stop:
    case OP_again:
        return value_at(b, node->in[0], place);
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_argmax:
        return reduce_at(b, node, place);
    case OP_fold:
        return fold_at(b, node, place);
    case OP_contract:
        return contract_at(b, node, place);
    case OP_pad:
        return pad_at(b, node, place);
    case OP_concat:
        return concat_at(b, node, place);
    case OP_gather:
        return gather_at(b, node, place);
    default:
        break;
    }
    return op_info(node->op)->pointwise ? pointwise_at(b, node, place, VALUE_POINT)
                                        : moved(b, node, place);
}

static bool is_result(const Builder *b, const Node *node) {
    for (int i = 0; i < b->kernel->result.count; i++)
        if (b->kernel->result.at[i].value == node && !b->kernel->result.at[i].from.buffer)
            return true;
    return false;
}

// --- Rows (pass/rows.c)

// Of the axes behind the rows' alone.
static Index index_in_row(const Builder *b, const Shape *shape, const Place *place) {
    Index linear = index_const(0);
    for (int axis = b->kernel->rows; axis < shape->rank; axis++)
        linear = index_add(index_scale(linear, dim_eval(shape->dim[axis], b->loops->batch)),
                           place->at[axis]);
    return linear;
}

// Do the variables of the open reduction come by each element of the row?
static bool covers_row(const Builder *b, const Shape *shape, const Place *place) {
    for (int axis = b->kernel->rows; axis < shape->rank; axis++) {
        const Index *at = &place->at[axis];
        if (dim_is_one(shape->dim[axis])) continue;
        if (at->count != 1 || at->constant != 0 || at->term[0].coef != 1) return false;
        const Var *var = &b->loops->var[at->term[0].var];
        if (var->kind != VAR_REDUCE || !dim_equal(var->extent, shape->dim[axis])) return false;
    }
    return b->reduction != NULL;
}

// A row that is computed once and read again: the first reduction over it keeps it.
static Value *kept_at(Builder *b, const Result *inside, Kept *kept, const Place *place) {
    const Node *node = inside->value;
    if (kept->after) {
        Value *value = new_value(b, VALUE_LOAD, node);
        value->buffer = inside->to.buffer;
        value->index = index_in_row(b, &node->shape, place);
        value->in_count = 1;
        value->in[0] = kept->after;
        kept->value->kept = inside->to.buffer;
        return add_value(b, value);
    }
    Value *value = compute(b, node, place);
    if (kept->from || value->kind == VALUE_LOAD || !covers_row(b, &node->shape, place))
        return value;
    kept->from = b->reduction;
    kept->value = value;
    value->kept_index = index_in_row(b, &node->shape, place);
    return value;
}

static Value *new_value_at(Builder *b, const Node *node, const Place *place) {
    Storage from = b->fusion->storage[node->id];
    for (int i = 0; i < b->kernel->inside.count; i++)
        if (b->kernel->inside.at[i].value == node && b->kernel->inside.at[i].to.buffer)
            return kept_at(b, &b->kernel->inside.at[i], &b->kept[i], place);
    return from.buffer && !is_result(b, node) ? load(b, node, from, place)
                                              : compute(b, node, place);
}

static Value *value_at(Builder *b, const Node *node, const Place *place) {
    struct {
        const Node *node;
        Index at[MAX_RANK];
    } key;
    memset(&key, 0, sizeof key);
    key.node = node;
    for (int axis = 0; axis < node->shape.rank; axis++)
        key.at[axis] = place->at[axis];
    Value *value = map_get_bytes(b->memo, &key, sizeof key);
    if (value) return value;
    value = new_value_at(b, node, place);
    map_put_bytes(b->memo, &key, sizeof key, value);
    return value;
}

static void add_store(Builder *b, const Result *result, const Place *place) {
    Value *value = result->from.buffer ? load(b, result->value, result->from, place)
                                       : value_at(b, result->value, place);
    Index index =
        index_add(linear_index(b, &result->value->shape, place), index_const(result->to.offset));
    VEC_PUSH(b->loops->arena, b->loops->store, ((Store){value, result->to.buffer, index}));
}

Loops *loops_build(Arena *arena, const Fusion *fusion, const Kernel *kernel) {
    Loops *loops = ARENA_NEW(arena, Loops);
    Builder b = {.loops = loops, .fusion = fusion, .kernel = kernel, .memo = map_new(arena)};
    Place place;
    memset(&place, 0, sizeof place);
    b.kept = ARENA_ARRAY(arena, Kept, kernel->inside.count + 1);
    loops->kernel = kernel;
    loops->arena = arena;
    loops->batch = fusion->batch;
    loops->target = fusion->target;
    loops->outer_unit = 1;
    for (int axis = 0; axis < kernel->space.rank; axis++) {
        if (dim_is_one(kernel->space.dim[axis])) continue;
        int var = loops_add_var(loops, VAR_LOOP, kernel->space.dim[axis]);
        loops->loop[loops->loop_count++] = var;
        place.at[axis] = index_var(var);
    }
    if (loops->loop_count == 0)
        loops->loop[loops->loop_count++] = loops_add_var(loops, VAR_LOOP, dim_const(1));
    for (int i = 0; i < kernel->inside.count; i++) // those of a row before what asks for elements
        if (!kernel->inside.at[i].to.buffer) value_at(&b, kernel->inside.at[i].value, &place);
    for (int i = 0; i < kernel->result.count; i++)
        add_store(&b, &kernel->result.at[i], &place);
    loops->outer = loops->var[loops->loop[0]].extent;
    return loops;
}

Loops *loops_build_part(Arena *arena, const Fusion *fusion, const Node *operand, Buffer *to,
                        const char *first, const char *low) {
    Loops *loops = ARENA_NEW(arena, Loops);
    Kernel *kernel = ARENA_NEW(arena, Kernel);
    Builder b = {.loops = loops, .fusion = fusion, .kernel = kernel, .memo = map_new(arena)};
    Place place;
    memset(&place, 0, sizeof place);
    *loops = (Loops){.kernel = kernel,
                     .arena = arena,
                     .batch = fusion->batch,
                     .target = fusion->target,
                     .outer_unit = 1};
    place.at[0] = outside_var(loops, first, operand->shape.dim[0]);
    for (int axis = 1; axis < operand->shape.rank; axis++) {
        int var = loops_add_var(loops, VAR_LOOP, operand->shape.dim[axis]);
        loops->loop[loops->loop_count++] = var;
        place.at[axis] = index_var(var);
    }
    Value *value = value_at(&b, operand, &place);
    Place own = place;
    own.at[0] = index_const(0);
    if (low)
        own.at[1] =
            index_add(own.at[1], index_scale(outside_var(loops, low, operand->shape.dim[1]), -1));
    VEC_PUSH(arena, loops->store, ((Store){value, to, linear_index(&b, &operand->shape, &own)}));
    loops->outer = loops->var[loops->loop[0]].extent;
    return loops;
}
