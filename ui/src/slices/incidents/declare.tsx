/** Declaring an incident that no alert has found. */
import { Select, Textarea, TextInput } from '@mantine/core';
import { useRouter } from '@tanstack/react-router';
import { useState } from 'react';
import { declare, type Sev } from '@/api/incidents';
import { FormDialog } from '@/parts/dialog';
import { sevWord } from '@/parts/status';

export const SEVS: Sev[] = ['sev1', 'sev2', 'sev3', 'sev4'];
export const SEV_DATA = SEVS.map((sev) => ({ value: sev, label: sevWord(sev) }));

export function DeclareDialog({ open, close }: { open: boolean; close: () => void }) {
  const router = useRouter();
  const [title, setTitle] = useState('');
  const [description, setDescription] = useState('');
  const [severity, setSeverity] = useState<Sev>('sev2');
  return (
    <FormDialog
      title="Declare incident"
      open={open}
      close={close}
      verb="Declare incident and page"
      submit={async () => {
        const made = await declare({ title, severity, items: [], description });
        router.history.push(`/incidents/${made.id}`);
      }}
    >
      {(fault) => (
        <>
          <TextInput
            label="Title"
            placeholder="Checkout is down"
            required
            data-autofocus
            value={title}
            onChange={(e) => setTitle(e.currentTarget.value)}
            error={fault('title')}
          />
          <Select
            label="Severity"
            data={SEV_DATA}
            value={severity}
            onChange={(v) => v && setSeverity(v as Sev)}
            error={fault('severity')}
          />
          <Textarea
            label="Description"
            autosize
            minRows={2}
            value={description}
            onChange={(e) => setDescription(e.currentTarget.value)}
            error={fault('description')}
          />
        </>
      )}
    </FormDialog>
  );
}
