/** The dialogs behind an incident's verbs. */
import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { peopleQuery } from '@/api/access';
import {
  assign,
  closeIncident,
  comment,
  type IncidentDetail,
  incidentsQuery,
  merge,
  mitigate,
  rename,
  reopen,
  resolve,
  type Sev,
  setSeverity,
} from '@/api/incidents';
import { useSession } from '@/api/session';
import { FormDialog } from '@/parts/dialog';
import { say } from '@/parts/toast';
import { SEV_DATA } from './declare';
import { SplitDialog } from './splitDialog';
import { TextDialog } from './textDialog';
import { useVerbs } from './verbs';

export type Asked =
  | 'comment'
  | 'assign'
  | 'resolve'
  | 'reopen'
  | 'merge'
  | 'severity'
  | 'mitigate'
  | 'close'
  | 'rename'
  | 'split'
  | null;

export function IncidentDialogs({
  incident,
  asked,
  close,
}: {
  incident: IncidentDetail;
  asked: Asked;
  close: () => void;
}) {
  const { settle } = useVerbs();
  const done = (text: string) => {
    say(text);
    settle();
  };
  return (
    <>
      <TextDialog
        key={`comment-${asked}`}
        open={asked === 'comment'}
        close={close}
        title="Add update"
        label="What is known, done or next"
        verb="Add update"
        field="text"
        required
        submit={async (text) => {
          await comment(incident.id, text);
          done('Update added');
        }}
      />
      <TextDialog
        key={`resolve-${asked}`}
        open={asked === 'resolve'}
        close={close}
        title="Resolve incident"
        label="Resolution"
        verb="Resolve incident"
        field="note"
        submit={async (note) => {
          await resolve(incident.id, note);
          done('Resolved');
        }}
      />
      <TextDialog
        key={`reopen-${asked}`}
        open={asked === 'reopen'}
        close={close}
        title="Reopen incident"
        label="What is still wrong"
        verb="Reopen incident"
        field="reason"
        submit={async (reason) => {
          await reopen(incident.id, reason);
          done('Reopened');
        }}
      />
      <TextDialog
        key={`mitigate-${asked}`}
        open={asked === 'mitigate'}
        close={close}
        title="Mark as mitigated"
        label="What ended the impact, while the cause remains"
        verb="Mark as mitigated"
        field="note"
        submit={async (note) => {
          await mitigate(incident.id, note);
          done('Mitigated');
        }}
      />
      <TextDialog
        key={`close-${asked}`}
        open={asked === 'close'}
        close={close}
        title="Close incident"
        label="Lessons learned"
        verb="Close incident"
        field="note"
        submit={async (note) => {
          await closeIncident(incident.id, note);
          done('Closed');
        }}
      />
      <TextDialog
        key={`rename-${asked}`}
        open={asked === 'rename'}
        close={close}
        title="Rename incident"
        label="Title; it is no longer updated automatically"
        verb="Rename"
        field="title"
        start={incident.title}
        required
        submit={async (title) => {
          await rename(incident.id, title);
          done('Renamed');
        }}
      />
      {asked === 'assign' && <AssignDialog incident={incident} close={close} done={done} />}
      {asked === 'merge' && <MergeDialog incident={incident} close={close} done={done} />}
      {asked === 'split' && <SplitDialog incident={incident} close={close} done={done} />}
      {asked === 'severity' && <SeverityDialog incident={incident} close={close} done={done} />}
    </>
  );
}

interface Inner {
  incident: IncidentDetail;
  close: () => void;
  done: (text: string) => void;
}

function AssignDialog({ incident, close, done }: Inner) {
  const me = useSession()?.actor;
  const people = useQuery(peopleQuery).data?.items ?? [];
  const data = people
    .filter((p) => !p.is_disabled)
    .map((p) => ({ value: p.id, label: p.id === me?.id ? `${p.name} (you)` : p.name }));
  if (me && !data.some((d) => d.value === me.id)) data.unshift({ value: me.id, label: `${me.name} (you)` });
  const [person, setPerson] = useState<string | null>(incident.lead?.id ?? me?.id ?? null);
  return (
    <FormDialog
      title="Assign lead"
      open
      close={close}
      verb="Assign lead"
      refusal={person ? null : 'Select a person.'}
      submit={async () => {
        await assign(incident.id, person ?? '');
        done('Assigned');
      }}
    >
      {(fault) => (
        <Select
          label="Person"
          data={data}
          value={person}
          onChange={setPerson}
          searchable
          data-autofocus
          error={fault('person')}
        />
      )}
    </FormDialog>
  );
}

function MergeDialog({ incident, close, done }: Inner) {
  const open = useQuery(incidentsQuery({ state: 'open', limit: 50 })).data?.items ?? [];
  const [into, setInto] = useState<string | null>(null);
  const data = open.filter((i) => i.id !== incident.id).map((i) => ({ value: i.id, label: `${i.number} ${i.title}` }));
  return (
    <FormDialog
      title="Merge into another incident"
      open
      close={close}
      verb="Merge"
      refusal={into ? null : 'Select the incident to merge into.'}
      submit={async () => {
        await merge(incident.id, into ?? '');
        done('Merged; its alerts and timeline moved');
      }}
    >
      {(fault) => (
        <Select
          label="Merge into"
          data={data}
          value={into}
          onChange={setInto}
          searchable
          data-autofocus
          error={fault('into')}
          nothingFoundMessage="No other open incident"
        />
      )}
    </FormDialog>
  );
}

function SeverityDialog({ incident, close, done }: Inner) {
  const [severity, set] = useState<Sev>(incident.severity);
  return (
    <FormDialog
      title="Change severity"
      open
      close={close}
      verb="Change severity"
      submit={async () => {
        await setSeverity(incident.id, severity);
        done('Severity changed');
      }}
    >
      {(fault) => (
        <Select
          label="Severity"
          data={SEV_DATA}
          value={severity}
          onChange={(v) => v && set(v as Sev)}
          error={fault('severity')}
        />
      )}
    </FormDialog>
  );
}
