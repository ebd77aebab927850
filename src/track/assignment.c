/* The Hungarian method by shortest augmenting paths with potentials, O(rows² × columns). Every row gets a column of its
 * own beside the real ones which stands for "unmatched", so a solution always exists and forbidden pairs never win.
 * Source: Kuhn 1955; Jonker & Volgenant 1987. */
#include "track/assignment.h"

#include <math.h>
#include <stdbool.h>

#include "base/memory.h"

/* Rows and columns are counted from 1; 0 stands for none. */
typedef struct solver {
    const double *costs;
    size_t rows, columns, all; /* all = columns + rows */
    double alone;
    double *row_price, *column_price, *slack;
    size_t *row_of, *came_from;
    bool *done;
} solver;

static double cost_of(const solver *s, size_t row, size_t column)
{
    if (column <= s->columns)
        return s->costs[(row - 1) * s->columns + column - 1];
    return column - s->columns == row ? s->alone : INFINITY;
}

/** From the row in column `at`, lower the slacks; @return the free-most column next. */
static size_t relax(solver *s, size_t at, double *step)
{
    size_t row = s->row_of[at], next = 0;
    *step = INFINITY;
    for (size_t column = 1; column <= s->all; column++) {
        if (s->done[column])
            continue;
        double slack = cost_of(s, row, column) - s->row_price[row] - s->column_price[column];
        if (slack < s->slack[column]) {
            s->slack[column] = slack;
            s->came_from[column] = at;
        }
        if (s->slack[column] < *step) {
            *step = s->slack[column];
            next = column;
        }
    }
    return next;
}

static void place_row(solver *s, size_t row)
{
    size_t at = 0;
    s->row_of[0] = row;
    for (size_t column = 0; column <= s->all; column++) {
        s->slack[column] = INFINITY;
        s->done[column] = false;
    }
    do {
        double step;
        s->done[at] = true;
        size_t next = relax(s, at, &step);
        for (size_t column = 0; column <= s->all; column++) {
            if (s->done[column]) {
                s->row_price[s->row_of[column]] += step;
                s->column_price[column] -= step;
            } else {
                s->slack[column] -= step;
            }
        }
        at = next;
    } while (s->row_of[at]);
    while (at) { /* hand each column on along the path */
        size_t before = s->came_from[at];
        s->row_of[at] = s->row_of[before];
        at = before;
    }
}

mien_status assignment_solve(const double *costs, size_t rows, size_t columns, double alone, int *match)
{
    solver s = {.costs = costs, .rows = rows, .columns = columns, .all = columns + rows, .alone = alone};
    double *numbers = memory_zeroed(rows + 1 + 2 * (s.all + 1), sizeof *numbers);
    size_t *indices = memory_zeroed(2 * (s.all + 1), sizeof *indices);
    s.done = memory_zeroed(s.all + 1, sizeof *s.done);
    mien_status status = numbers && indices && s.done ? MIEN_OK : MIEN_ENOMEM;
    if (!status) {
        s.row_price = numbers;
        s.column_price = numbers + rows + 1;
        s.slack = s.column_price + s.all + 1;
        s.row_of = indices;
        s.came_from = indices + s.all + 1;
        for (size_t row = 1; row <= rows; row++)
            place_row(&s, row);
        for (size_t row = 0; row < rows; row++)
            match[row] = ASSIGNMENT_NONE;
        for (size_t column = 1; column <= columns; column++) {
            if (s.row_of[column])
                match[s.row_of[column] - 1] = (int)column - 1;
        }
    }
    memory_free(numbers);
    memory_free(indices);
    memory_free(s.done);
    return status;
}
