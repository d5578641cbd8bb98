//! The instructions of a template, rebuilt so that what makes or compares values is charged for.

use minijinja::Value;
use minijinja::machinery::{Instruction, Instructions};

use crate::Error;
use crate::filters::{CHARGE, MULTIPLY, SPEND};

/// A filter that is looked up by name each time.
const UNCACHED: u8 = !0;

/// The same program with charges.
pub fn bounded<'s>(compiled: &Instructions<'s>, source: &'s str) -> Result<Instructions<'s>, Error> {
    let mut parts: Vec<(Vec<Instruction<'s>>, u16)> = Vec::new();
    let mut index = 0;
    while let Some(instruction) = compiled.get(index) {
        let line = compiled.get_line(index).unwrap_or(1);
        let replaced = replace(instruction, line)?;
        parts.push((replaced, u16::try_from(line).unwrap_or(u16::MAX)));
        index += 1;
    }
    let mut starts = Vec::with_capacity(parts.len() + 1);
    let mut next = 0_u32;
    for (part, _) in &parts {
        starts.push(next);
        next += u32::try_from(part.len()).unwrap_or(u32::MAX);
    }
    starts.push(next);
    let target = |old: u32| starts.get(old as usize).copied().unwrap_or(next);
    let mut program = Instructions::new("<template>", source);
    for (part, line) in parts {
        for instruction in part {
            program.add_with_line(moved(instruction, target), line);
        }
    }
    Ok(program)
}

/// A jump to where its target stands now.
fn moved<'s>(instruction: Instruction<'s>, target: impl Fn(u32) -> u32) -> Instruction<'s> {
    match instruction {
        Instruction::Iterate(to) => Instruction::Iterate(target(to)),
        Instruction::Jump(to) => Instruction::Jump(target(to)),
        Instruction::JumpIfFalse(to) => Instruction::JumpIfFalse(target(to)),
        Instruction::JumpIfFalseOrPop(to) => Instruction::JumpIfFalseOrPop(target(to)),
        Instruction::JumpIfTrueOrPop(to) => Instruction::JumpIfTrueOrPop(target(to)),
        Instruction::BuildMacro(name, to, flags) => Instruction::BuildMacro(name, target(to), flags),
        other => other,
    }
}

/// What stands in the place of one instruction.
fn replace<'s>(instruction: &Instruction<'s>, line: usize) -> Result<Vec<Instruction<'s>>, Error> {
    let own = instruction.clone();
    let charge = Instruction::ApplyFilter(CHARGE, Some(1), UNCACHED);
    Ok(match instruction {
        Instruction::EmitRaw(text) => vec![
            Instruction::LoadConst(Value::from(text.len())),
            Instruction::ApplyFilter(SPEND, Some(1), UNCACHED),
            Instruction::DiscardTop,
            own,
        ],
        Instruction::Add
        | Instruction::StringConcat
        | Instruction::Slice
        | Instruction::BuildMap(_)
        | Instruction::BuildList(Some(_))
        | Instruction::BuildTuple(Some(_)) => vec![own, charge],
        Instruction::Mul => vec![Instruction::ApplyFilter(MULTIPLY, Some(2), UNCACHED)],
        Instruction::Eq
        | Instruction::Ne
        | Instruction::Lt
        | Instruction::Lte
        | Instruction::Gt
        | Instruction::Gte
        | Instruction::In
        | Instruction::CompareAndPreserve(_) => vec![charge, own],
        Instruction::UnpackLists(_)
        | Instruction::MergeKwargs(_)
        | Instruction::BuildList(None)
        | Instruction::BuildTuple(None)
        | Instruction::SetAttr(_) => return Err(Error::new(line, "unpacking with * is not available")),
        Instruction::CallBlock(_)
        | Instruction::LoadBlocks
        | Instruction::Include(_)
        | Instruction::ExportLocals
        | Instruction::FastSuper => {
            return Err(Error::new(
                line,
                "include, import, extends and block are not available",
            ));
        }
        _ => vec![own],
    })
}
