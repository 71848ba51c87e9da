import { crashAll } from './exploring.ts';
import * as scenarios from './scenarios/container-crashes.ts';

crashAll('container-crashes', scenarios);
