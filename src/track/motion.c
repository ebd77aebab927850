/* Heads are moved by muscles, so their acceleration is noise of a size in proportion to the face: a face of 100 px
 * rarely changes its speed by more than some hundred px/s within a second. Three independent filters of two states each
 * are enough, cost a few dozen operations and need no matrix code. Source: Kalman 1960; Bar-Shalom, Li & Kirubarajan
 * 2001, ch. 6 (discretised continuous white noise acceleration). */
#include "track/motion.h"

#include <math.h>

static const double motion_acceleration = 5.0;      /* face sizes a second squared, centre */
static const double motion_size_acceleration = 1.5; /* the same, size */
static const double motion_jitter = 0.05;           /* a detector's box, in face sizes */
static const double motion_first_speed = 2.0;       /* face sizes a second: what a new face may be moving at */
static const double motion_slowing = 0.7;           /* seconds in which a face out of sight loses most of its speed */

static double box_size(const mien_rect *box)
{
    return sqrt((double)box->width * box->height);
}

static void axis_start(motion_axis *a, double position, double size)
{
    double jitter = motion_jitter * size, speed = motion_first_speed * size;
    *a = (motion_axis){.position = position, .pp = jitter * jitter, .vv = speed * speed};
}

static void axis_predict(motion_axis *a, double seconds, double acceleration)
{
    double t = seconds, q = acceleration * acceleration;
    a->position += a->velocity * t;
    a->pp += 2 * t * a->pv + t * t * a->vv + q * t * t * t * t / 4;
    a->pv += t * a->vv + q * t * t * t / 2;
    a->vv += q * t * t;
}

static void axis_correct(motion_axis *a, double measured, double jitter)
{
    double s = a->pp + jitter * jitter;
    double gain = a->pp / s, speed_gain = a->pv / s, off = measured - a->position;
    a->position += gain * off;
    a->velocity += speed_gain * off;
    a->vv -= speed_gain * a->pv;
    a->pv -= gain * a->pv;
    a->pp -= gain * a->pp;
}

void motion_start(motion *m, const mien_rect *box)
{
    double size = box_size(box);
    axis_start(&m->x, box->x + box->width / 2.0, size);
    axis_start(&m->y, box->y + box->height / 2.0, size);
    axis_start(&m->size, size, size / 4);
    m->aspect = (double)box->width / box->height;
}

void motion_predict(motion *m, double seconds, int seen)
{
    double size = m->size.position;
    axis_predict(&m->x, seconds, motion_acceleration * size);
    axis_predict(&m->y, seconds, motion_acceleration * size);
    axis_predict(&m->size, seconds, motion_size_acceleration * size);
    if (!seen) {
        double keep = exp(-seconds / motion_slowing);
        m->x.velocity *= keep;
        m->y.velocity *= keep;
        m->size.velocity *= exp(-seconds / (motion_slowing / 4)); /* nobody grows behind a pillar */
    }
    m->size.position = fmax(m->size.position, 1);
}

void motion_correct(motion *m, const mien_rect *box)
{
    double size = box_size(box), jitter = motion_jitter * size;
    axis_correct(&m->x, box->x + box->width / 2.0, jitter);
    axis_correct(&m->y, box->y + box->height / 2.0, jitter);
    axis_correct(&m->size, size, jitter);
    m->size.position = fmax(m->size.position, 1);
    m->aspect += 0.2 * ((double)box->width / box->height - m->aspect);
}

/** To the nearest pixel, held within what the rest of mien calls a picture. */
static int32_t to_pixel(double value)
{
    return (int32_t)lround(fmin(fmax(value, -1e6), 1e6));
}

mien_rect motion_box(const motion *m)
{
    double width = fmax(m->size.position * sqrt(m->aspect), 1), height = fmax(m->size.position / sqrt(m->aspect), 1);
    return (mien_rect){to_pixel(m->x.position - width / 2), to_pixel(m->y.position - height / 2), to_pixel(width),
                       to_pixel(height)};
}

double motion_spread(const motion *m)
{
    return sqrt(fmax(m->x.pp, m->y.pp));
}
