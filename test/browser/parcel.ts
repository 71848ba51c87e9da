/** The structs that the browser's own tests share between threads. */

import { f64, string, struct, u32 } from '../../src/index.ts';

export const Parcel = struct('Parcel', { from: u32, number: u32, weight: f64, label: string });
export const Total = struct('Total', { count: u32 });
