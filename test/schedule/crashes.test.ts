import { crashAll } from './exploring.ts';
import * as scenarios from './scenarios/crashes.ts';

crashAll('crashes', scenarios);
