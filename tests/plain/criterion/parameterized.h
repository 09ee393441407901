// SPDX-License-Identifier: MIT
// As Criterion has it.
#include "criterion/criterion.h"
