/** A cron line in words, for the forms that people mostly write; else the line itself. */
const DAYS = ['Sundays', 'Mondays', 'Tuesdays', 'Wednesdays', 'Thursdays', 'Fridays', 'Saturdays', 'Sundays'];
const two = (text: string) => text.padStart(2, '0');
const number = (text: string) => /^\d+$/.test(text);

export function cronWords(cron: string): string {
  const [minute = '', hour = '', day = '', month = '', weekday = '', ...rest] = cron.trim().split(/\s+/);
  if (rest.length > 0 || month !== '*') return cron;
  const at = number(minute) && number(hour) ? `at ${two(hour)}:${two(minute)}` : '';
  const every = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (every && hour === '*' && day === '*' && weekday === '*') return `every ${every} min`;
  if (number(minute) && hour === '*' && day === '*' && weekday === '*') return `hourly at :${two(minute)}`;
  if (!at) return cron;
  if (day === '*' && weekday === '*') return `daily ${at}`;
  if (day === '*' && weekday === '1-5') return `weekdays ${at}`;
  if (day === '*' && number(weekday)) return `${DAYS[Number(weekday)] ?? weekday} ${at}`;
  if (number(day) && weekday === '*') return `monthly on day ${day} ${at}`;
  return cron;
}
