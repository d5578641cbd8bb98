/** Log lines: time, source, text, with severity by colour and what was searched for marked. */
import { Fragment } from 'react';
import type { LogLine } from '@/api/telemetry';
import { absolute, clock } from './time';

function tone(severity: number | null | undefined): string | undefined {
  if (severity === null || severity === undefined) return undefined;
  return severity <= 3 ? 'err' : severity === 4 ? 'warn' : undefined;
}

export function Marked({ text, words }: { text: string; words: string[] }) {
  if (words.length === 0) return <>{text}</>;
  const pattern = new RegExp(`(${words.map((w) => w.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})`, 'gi');
  return (
    <>
      {text
        .split(pattern)
        .map((part, i) => (i % 2 === 1 ? <mark key={i}>{part}</mark> : <Fragment key={i}>{part}</Fragment>))}
    </>
  );
}

export function source(line: LogLine): string {
  const l = line.labels;
  return l.unit ?? l.program ?? l.file?.replace(/^.*\//, '') ?? l.source ?? '';
}

export function LogView({ lines, words = [], host = true }: { lines: LogLine[]; words?: string[]; host?: boolean }) {
  return (
    <div className="log" role="log" aria-label="Log lines" style={{ padding: '6px 0' }}>
      {lines.map((line, i) => (
        <div key={`${line.at}-${i}`}>
          <time dateTime={line.at} title={absolute(line.at)}>
            {clock(line.at)}
          </time>
          <p className={tone(line.severity)}>
            <span className="faint">
              {host && line.labels.host ? `${line.labels.host} ` : ''}
              {source(line) ? `${source(line)} ` : ''}
            </span>
            <Marked text={line.text} words={words} />
          </p>
        </div>
      ))}
    </div>
  );
}

/** The words of a log query that are looked for in the text. */
export function wordsOf(query: string): string[] {
  const quoted = [...query.matchAll(/\|=\s*"((?:[^"\\]|\\.)*)"/g)].map((m) => m[1] ?? '');
  const bare = /[{|]/.test(query)
    ? []
    : query.split(/\s+/).filter((w) => w && !w.includes(':') && !w.includes('=') && !/^(AND|OR|NOT)$/.test(w));
  return [...quoted, ...bare].filter((w) => w.length > 1);
}
