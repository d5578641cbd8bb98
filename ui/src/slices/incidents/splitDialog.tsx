/** Splits alerts off into an incident of their own. */
import { Checkbox, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { IncidentDetail } from '@/api/incidents';
import { splitAlerts } from '@/api/relatedIncidents';
import { FormDialog } from '@/parts/dialog';

const SHOWN = 50;

export function SplitDialog({
  incident,
  close,
  done,
}: {
  incident: IncidentDetail;
  close: () => void;
  done: (text: string) => void;
}) {
  const [chosen, choose] = useState<string[]>([]);
  const [note, setNote] = useState('');
  const refusal =
    chosen.length === 0
      ? 'Choose the alerts.'
      : chosen.length >= incident.alert_count && !incident.is_declared
        ? 'At least one alert must stay.'
        : null;
  return (
    <FormDialog
      title="Split off alerts"
      open
      close={close}
      verb="Split off"
      refusal={refusal}
      submit={async () => {
        const made = await splitAlerts(incident.id, chosen, note);
        done(`Split off into #${made.number}`);
      }}
    >
      {(fault) => (
        <>
          <Checkbox.Group
            label="Alerts that become an incident of their own"
            value={chosen}
            onChange={choose}
            error={fault('alerts')}
          >
            {incident.alerts.slice(0, SHOWN).map((alert) => (
              <Checkbox
                key={alert.id}
                value={alert.id}
                label={alert.annotations.summary ?? alert.name}
                style={{ marginTop: 8 }}
              />
            ))}
          </Checkbox.Group>
          <TextInput
            label="Reason"
            value={note}
            onChange={(event) => setNote(event.currentTarget.value)}
            error={fault('note')}
          />
        </>
      )}
    </FormDialog>
  );
}
