import { expect, test } from 'vitest';
import { exploreOf } from './graph';

test('links of alert templates lead to the metrics page', () => {
  expect(exploreOf({ 'g0.expr': 'up == 0', 'g0.tab': 0 })).toEqual({ expr: 'up == 0', view: 'chart' });
  expect(exploreOf({ 'g0.expr': 5, 'g0.tab': 1 })).toEqual({ expr: '5', view: 'table' });
  expect(exploreOf({})).toEqual({ expr: '', view: 'chart' });
});
