//! What is told of the light of samples that are written: on a screen, and in the file.

use super::{ChannelLight, Illumination, LightVerdict};

/// What became of the light of some channels that were to be evened out; of none by default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LightTold {
    /// The names of the channels that are evened out.
    evened: Vec<String>,
    /// The names of those that are left as they are, by the reason.
    left: Vec<(String, Vec<String>)>,
}

impl LightTold {
    /// Why nothing is known where fields stand as the layout says.
    pub const NOT_ALIGNED: &str = "the fields are not aligned";
    /// Why nothing is known where nobody looked.
    pub const NOT_MEASURED: &str = "it was not measured";

    /// Channels by number and name that are written through `light`; `why_not` says why one has no profile there.
    pub fn of(channels: &[(u16, &str)], light: Option<&Illumination>, why_not: &dyn Fn(u16) -> String) -> Self {
        let mut told = Self::default();
        for &(channel, name) in channels {
            if light.is_some_and(|light| light.profile(channel).is_some()) {
                told.evened.push(name.to_owned());
                continue;
            }
            let why = why_not(channel);
            match told.left.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, names)) => names.push(name.to_owned()),
                None => told.left.push((why, vec![name.to_owned()])),
            }
        }
        told
    }

    /// Why an estimate holds no profile of a channel.
    pub fn why_not(channels: &[ChannelLight], channel: u16) -> String {
        match channels.iter().find(|light| light.channel == channel).map(|light| &light.verdict) {
            Some(LightVerdict::NotKept(why)) => why.clone(),
            Some(LightVerdict::Kept) | None => Self::NOT_MEASURED.to_owned(),
        }
    }

    /// One line for every reason to leave the light of some channels as it is.
    pub fn lines(&self) -> Vec<String> {
        let line =
            |(why, names): &(String, Vec<String>)| format!("the light of {} is left as it is: {why}", names.join(", "));
        self.left.iter().map(line).collect()
    }

    /// What a file says of its samples.
    pub fn notes(&self) -> Vec<(String, String)> {
        let samples = match (self.evened.is_empty(), self.left.is_empty()) {
            (true, _) => "as stored".to_owned(),
            (false, true) => "illumination evened out".to_owned(),
            (false, false) => format!("illumination evened out in {}, the others as stored", self.evened.join(", ")),
        };
        let left = self.lines().into_iter().map(|line| ("Illumination".to_owned(), line));
        std::iter::once(("Samples".to_owned(), samples)).chain(left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PROFILE_CELLS, Profile};
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_file_says_which_channels_are_evened_out_and_why_others_are_not() {
        let cells = PROFILE_CELLS * PROFILE_CELLS;
        let profile = Profile::new(vec![1.0; cells], vec![0.0; cells]).map(Arc::new);
        let light = Illumination::new(vec![None, profile]);
        let channels = [(0, "DAPI"), (1, "CD3"), (2, "CD8")];
        let told = LightTold::of(&channels, Some(&light), &|_| "it is even already".into());
        let line = "the light of DAPI, CD8 is left as it is: it is even already";
        assert_eq!(told.lines(), [line]);
        let note = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let samples = note("Samples", "illumination evened out in CD3, the others as stored");
        assert_eq!(told.notes(), [samples, note("Illumination", line)]);
        let all = LightTold::of(&channels[1..2], Some(&light), &|_| String::new());
        assert_eq!((all.lines().len(), all.notes()), (0, vec![note("Samples", "illumination evened out")]));
        let none = LightTold::of(&channels[..1], None, &|channel| format!("channel {channel}"));
        assert_eq!(none.notes()[0], note("Samples", "as stored"));
        assert_eq!(none.lines(), ["the light of DAPI is left as it is: channel 0"]);
    }
}
