// SPDX-License-Identifier: MIT
// A network inside of a program of one's own: the one of simplenet.nnd learns which of ten bars in
// a noisy image is bright, from data that this program makes.
//
//     nnc emit examples/simplenet.nnd -o net && make -C net libsimplenet.a
//     cc -O2 -Inet examples/embedding.c net/libsimplenet.a -lm -lpthread -o embedding
#include "simplenet.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 64, SIDE = 28, PIXELS = SIDE * SIDE, CLASSES = 10, STEPS = 300 };

static float images[BATCH][PIXELS];
static int32_t labels[BATCH];

static float noise(void) { return (float)rand() / (float)RAND_MAX; }

static void make_batch(void) {
    for (int n = 0; n < BATCH; n++) {
        labels[n] = rand() % CLASSES;
        for (int i = 0; i < PIXELS; i++) {
            int row = i / SIDE;
            images[n][i] = 0.7f * noise() + (row * CLASSES / SIDE == labels[n] ? 0.2f : 0);
        }
    }
}

static void stop_on(NncStatus status, const NncError *error) {
    if (!status) return;
    fprintf(stderr, "%s\n", error->text);
    exit(1);
}

int main(void) {
    NncError error;
    const void *batch[] = {images, labels}; // as simplenet.h lists the inputs
    NncNet *net = nnc_net_new(&simplenet_program, 0, &error), *again;
    if (!net) stop_on(error.status, &error);

    for (int step = 1; step <= STEPS; step++) {
        double loss;
        make_batch();
        stop_on(nnc_net_train(net, batch, BATCH, &loss, &error), &error);
        if (step % 100 == 0) printf("step %d, loss %.4f\n", step, loss);
    }

    double scores[2]; // the loss, and then the metrics of the model
    make_batch();
    stop_on(nnc_net_evaluate(net, batch, BATCH, scores, &error), &error);
    printf("%.1f %% of new images right\n", 100 * scores[1]);

    stop_on(nnc_net_save(net, "bars.safetensors", &error), &error);
    again = nnc_net_new(&simplenet_program, 1, &error);
    if (!again) stop_on(error.status, &error);
    stop_on(nnc_net_load(again, "bars.safetensors", false, &error), &error);

    float logits[1][CLASSES];
    const void *image[] = {images[0], NULL}; // the label is not needed
    void *outputs[] = {logits};
    stop_on(nnc_net_predict(again, image, 1, outputs, &error), &error);
    int best = 0;
    for (int k = 1; k < CLASSES; k++)
        if (logits[0][k] > logits[0][best]) best = k;
    printf("bar %d is bright; the network says %d\n", labels[0], best);

    nnc_net_free(again);
    nnc_net_free(net);
    return best == labels[0] ? 0 : 1;
}
