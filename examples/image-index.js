/** What the index holds: both processes of examples/image.js say it alike. */

import { struct, u32, vec } from 'sabheap';

export const Multiples = struct('Multiples', { numbers: vec(u32) });
