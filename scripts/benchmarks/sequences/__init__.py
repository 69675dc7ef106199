"""The cost of training on sequences of different lengths: layouts of a batch, torch's packed LSTM, segments."""
