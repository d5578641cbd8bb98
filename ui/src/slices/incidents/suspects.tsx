/** What changed before it opened: likely causes, ranked, each with its evidence. */
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { began, type IncidentDetail, type Suspect } from '@/api/incidents';
import { Card, Chips, Meter } from '@/parts/card';
import { plural } from '@/parts/number';
import { Empty } from '@/parts/states';
import { address, readable } from '@/parts/story';
import { moment, span } from '@/parts/time';

/** `41 s before`, seen from when the incident opened. */
export function before(at: string, opened: string): string {
  const seconds = (Date.parse(opened) - Date.parse(at)) / 1000;
  return seconds >= 0 ? `${span(seconds)} before` : `${span(-seconds)} after`;
}

const FIRST = 5;

const target = (suspect: Suspect): string =>
  address(suspect.subject) ?? (suspect.seq === null ? '/timeline' : `/timeline?seq=${suspect.seq}`);

export function Suspects({ incident }: { incident: IncidentDetail }) {
  const suspects = incident.suspects;
  const [all, setAll] = useState(false);
  return (
    <Card
      title="Likely causes"
      aside={suspects.length > 0 ? `${plural(suspects.length, 'change')}, most likely first` : undefined}
      flush
    >
      {suspects.length === 0 ? (
        <Empty title="No change found">
          Searched from {moment(incident.suspects_from)} to {moment(incident.suspects_until)}, on these items and what
          they depend on.
        </Empty>
      ) : (
        <ol style={{ listStyle: 'none' }} aria-label="Likely causes">
          {suspects.slice(0, all ? undefined : FIRST).map((suspect, i) => (
            <li key={`${suspect.seq} ${suspect.title} ${suspect.at}`} className="suspect">
              <span className="faint num">{i + 1}</span>
              <div>
                <b className="break">{suspect.title}</b>
                <div className="muted break">
                  {[readable(suspect.detail), before(suspect.at, began(incident))].filter(Boolean).join(' · ')}
                  <span className="sr"> at {moment(suspect.at)}</span>
                </div>
                {suspect.evidence.length > 0 && (
                  <div style={{ marginTop: 5 }}>
                    <Chips values={suspect.evidence} />
                  </div>
                )}
              </div>
              <div className="score">
                <b className="num">{suspect.score.toFixed(2)}</b>
                <Meter ratio={suspect.score} label={`Likelihood of ${suspect.title}`} />
              </div>
              <Link to={target(suspect)} className="link right">
                Show
              </Link>
            </li>
          ))}
        </ol>
      )}
      {suspects.length > FIRST && (
        <button type="button" className="plain line link" style={{ width: '100%' }} onClick={() => setAll(!all)}>
          {all ? 'Show the most likely only' : `Show ${plural(suspects.length - FIRST, 'less likely cause')}`}
        </button>
      )}
    </Card>
  );
}

/** What failed: labelled as a symptom, with what the journal says of it. */
export function Symptoms({ incident }: { incident: IncidentDetail }) {
  if (incident.symptoms.length === 0) return null;
  return (
    <Card title="Symptoms" aside="what failed, not why" flush>
      {incident.symptoms.map((symptom) => (
        <div className="line" key={`${symptom.seq} ${symptom.title}`}>
          <div style={{ minWidth: 0 }}>
            <b className="break">{symptom.title}</b>
            <div className="muted break">
              {[readable(symptom.detail), before(symptom.at, began(incident))].filter(Boolean).join(' · ')}
            </div>
            {symptom.evidence.length > 0 && (
              <div style={{ marginTop: 5 }}>
                <Chips values={symptom.evidence} />
              </div>
            )}
          </div>
          <Link to={target(symptom)} className="link right">
            Show
          </Link>
        </div>
      ))}
    </Card>
  );
}
