"""What the index lists: terms, symbols and algorithms. Their places are looked up."""

# term | chapter that explains it | words to look for, if they are others
TERMS = r"""
absorbing state | 02 | absorbing
action | 00
action gap | 06
action value | 01
actor | 14 | the *actor*
advantage | 06
agent | 00
anchor | 19 | role of the anchor
annotators who choose at random | 18 | random clicks
answer of a language model | 18 | **answer**
asynchronous value iteration | 04
average reward | A
backtracking line search | 15
backup | 03
backward view | 08
bandit | 07 | arms
bandwidth of a sweep | 04 | bandwidth
baseline | 11
batch learning | 08
Bayes-optimal accuracy | 18
behaviour policy | 10 | behaviour
Bellman's expectation equation | 03
Bellman's optimality equation | 03
best of n | 18 | best of $n$
bias of an estimate | 07 | unbiased
bootstrap interval | 00
bootstrapping | 01
Bradley and Terry's model | 18 | Bradley and Terry
calibrated | 18
certainty-equivalence estimate | 08
clipping (of ratios) | 16 | PPO-clip
conditional probability | F
conjugate gradients | 15 | conjugate
consistent estimate | 07 | consistent
context | 19
contraction | 03
control | 07
critic | 14
damping | 15
dead zone | 16 | dead zones
deadly triad | 13 | function approximation
deterministic policy | 01 | deterministic
direct preference optimisation (DPO) | 19 | direct preference optimisation
discount | 00
discounted visitation distribution | 02
Double DQN | 13
double Q-learning | 09
dueling head | 13 | dueling
Dyna-Q | 10
effective horizon | 01
eligibility trace | 08
end token | 18
entropy | 11
environment | 00
episode | 00
epoch | 16 | epochs
epsilon-greedy | 00
epsilon-soft | 06 | $\varepsilon$-soft
error reduction property | 08
every-visit average | 07 | every-visit
expectation | F
expected SARSA | 10
exploring starts | 07
feature | 10b | features
first-visit average | 07 | first-visit
Fisher information matrix | 15
fixed point | 03
forward view | 08
frontier of reward and KL | 19 | frontier
GAE | 17
gamma-just estimate | 17 | $\gamma$-just
Gaussian policy | 11
generalisation | 10b
GLIE | 07
Goodhart's law | 19
gradient | F
gradient ascent | 11
gradient clipping | 11
greedy | 00
group | 20 | **group** of
GRPO | 20
Gumbel noise | 18 | Gumbel
Huber loss | 13
identifiable | 13
implicit reward | 19
importance sampling | 10
importance weights | 09
interquartile mean | 00
Kullback-Leibler divergence (KL) | 15 | Kullback-Leibler divergence
lambda-return | 08 | $\lambda$-return
language model | 18
least squares | 10b
least-squares TD (LSTD) | 10b | least-squares TD
leave one out | 12
leave-one-out baseline | 20 | leave-one-out
linear value function | 10b | **linear** value function
logits | 11
Markov decision process | 02
Markov property | 02
matrix | F
maximisation bias | 09
maximum norm | 03
minibatch | 16 | minibatches
model | 00
model-free | 02
modified policy iteration | 05
monotonic improvement | 15
Monte Carlo | 01
n-step return | 08 | $n$-step return
natural gradient | 15
normal equations | 10b
off-policy | 09
on-policy | 10
on-policy distribution | 10b
optimistic start | 04 | optimistic
outcome supervision | 20
over-optimisation | 19
overfitting | 18
padding | 18
partial order of policies | 03 | preorder
pass@1 | 20
pass@k | 20
performance-difference lemma | 15
Plackett and Luce's model | 18 | Plackett and Luce
planning | 02
policy | 00
policy gradient theorem | 11
policy improvement theorem | 05
policy iteration | 05
Polyak averaging | 13
PPO-penalty | 16
pretraining | 18
process supervision | 20
projected Bellman equation | 10b
projection | 10b
prompt | 18
proxy reward | 19 | proxy
Q-learning | 09
Q-value iteration | 06
random utility model | 18
ratio of probabilities | 16 | ratio
real-time dynamic programming | 04
reference policy | 18 | reference
reinforcement learning from human feedback (RLHF) | 18 | Reinforcement learning from human feedback
replacing trace | 08
replay memory | 13
return | 00
reward | 00
reward model | 18
reward-to-go | 12
Robbins and Monro's conditions | 07 | Robbins and Monro
rollout | 11
root mean squared error | 07
run axis | 11
SARSA | 10
scan | 17
score | 11
semi-gradient | 10b
softmax | 11
solvable language model | 19
solved | 12
start distribution | 02
state | 00
state aggregation | 10b
stationary policy | 01 | stationary
supervised fine-tuning (SFT) | 18 | SFT
surrogate | 15
sweep | 04
target network | 13
target policy | 10
TD error | 08
TD(0) | 08
TD(lambda) | 08 | TD($\lambda$)
telescoping sum | 17 | telescopes
temperature | 18 | **temperature**
temporal difference learning | 08
terminal mask | 08
terminal state | 02
termination | 02 | terminated
tile coding | 10b
token | 18 | tokens
total variation | 15
trajectory | 01
transition | 01
transition kernel | 02
trembling hand | 06 | trembling
truncation | 02 | truncated
trust region | 15
upper confidence bound (UCB) | 07 | upper confidence bound
value | 00
value iteration | 04
variance | F
verifier | 20
"""

# symbol | meaning | in code | the number of the equation
SYMBOLS = r"""
G_t | return from time t | returns[t] | 0.1
\gamma | discount | discount | 0.1
\pi(a \mid s) | policy | policy[s, a] | 1.3
V^\pi(s) | value of a state | values[s] | 1.10
Q^\pi(s,a) | value of an action | q[s, a] | 1.11
P(s' \mid s,a) | transition kernel | mdp.transition[s, a, s_next] | 2.1
r(s,a) | expected reward | mdp.reward[s, a] | 2.2
P_\pi, r_\pi | chain and rewards of a policy | mdp.induced_chain(policy) | 2.4
J(\pi) | objective: expected return from the start | | 2.6
\nu^\pi(s) | discounted visitation distribution, sums to 1 | discounted_visitation | 2.7
T, T_\pi | Bellman's operators | bellman_optimality_backup | 3.9
V^*, Q^* | optimal values | solution.values | 3.7
A^\pi(s,a) | advantage | | 6.6
\varepsilon | probability of a random action | epsilon | 6.12
\alpha | step size | alpha | 7.14
d_t | 1 if the step terminates | terminated[t] | 8.1
\delta_t | TD error | td_errors | 8.2
G_t^{(n)} | n-step return | n_step_returns | 8.10
G_t^\lambda | lambda-return | lambda_returns | 8.15
z_t(s) | eligibility trace | | 8.20
\rho | importance weight | | 10.9
w, x(s) | weights and features of a linear value function | | 10b.1
\Pi | projection on what the features can express | best_linear_fit | 10b.4
\mu(s) | share of the time that is spent in a state | on_policy_distribution | 10b.7
\theta | parameters of a policy | | 11.8
\eta(s) | discounted visits, not normalised | | 11.9
H(\pi) | entropy | entropy_bonus | 11.24
p_\theta(\tau) | probability of a trajectory | all_trajectories | 12.1
\bar\theta | parameters of the target network | | 13.1
\text{sg}[\cdot] | stop gradient | detach() | 14.8
L_\pi(\pi') | surrogate objective | | 15.6
F | Fisher information matrix | fisher_vector_product | 15.15
D_{KL}(p \,\Vert\, q) | Kullback-Leibler divergence, a mean under p | kl_categorical | 16.1
\beta | price of a unit of KL | kl_coef | 16.3
\rho_t | ratio of new to old probability | | 16.12
\epsilon | clip range of PPO | clip_epsilon | 16.12
k_1, k_2, k_3 | estimates of a KL from samples | kl_estimate | 16.19
\hat A_t^{\text{GAE}} | generalized advantage estimate | generalized_advantage_estimate | 17.9
\pi_\theta(o \mid q) | probability of an answer to a prompt | token_log_probs | 18.1
R(q, o) | reward of an answer | bradley_terry_loss | 18.2
\sigma | logistic function | | 18.2
\pi_{\text{ref}} | the reference, the model before RL | ref_log_probs | 19.2
\pi^*(o \mid q) | the best policy at a price of the KL | kl_regularized_optimum | 19.6
\pi_{\text{old}} | the policy that drew the answers | old_log_probs | 19.17
\hat A_i | advantage in a group of answers | outcome_advantages | 20.7
"""

# algorithm | the number of its update | where it is in rlbook
ALGORITHMS = r"""
Value iteration | 4.1 | planning.value_iteration
Asynchronous value iteration | 4.10 | planning.asynchronous_value_iteration
Policy evaluation | 5.3 | planning.policy_evaluation
Policy iteration | 5.9 | planning.policy_iteration
Modified policy iteration | 5.16 | planning.modified_policy_iteration
Q-value iteration | 6.1 | planning.q_value_iteration
Upper confidence bounds | 7.4 | tabular.ucb_bandit
Monte Carlo prediction | 7.6 | tabular.monte_carlo_prediction
Monte Carlo control | 7.16 | tabular.monte_carlo_control
TD(0) | 8.3 | tabular.td_zero
n-step TD | 8.14 | tabular.n_step_td
TD(lambda) | 8.21 | tabular.td_lambda
Batch TD | 8.25 | tabular.batch_td
Q-learning | 9.2 | tabular.q_learning
Double Q-learning | 9.10 | tabular.double_q_learning
SARSA | 10.2 | tabular.sarsa
Expected SARSA | 10.5 | tabular.expected_sarsa
n-step SARSA | 10.7 | tabular.n_step_sarsa
SARSA(lambda) | 10.11 | tabular.sarsa_lambda
Semi-gradient TD | 10b.6 | planning.features
Least-squares TD (LSTD) | 10b.11 | planning.features.lstd
REINFORCE | 12.6 | deep.reinforce
DQN | 13.2 | deep.dqn
Double DQN | 13.15 | deep.dqn
Dueling DQN | 13.18 | deep.parts.DuelingMLP
Actor-critic, one step | 14.10 | deep.actor_critic
A2C | 14.13 | deep.actor_critic
TRPO | 15.20 | deep.trpo
PPO-penalty | 16.3 | deep.ppo
PPO-clip | 16.12 | deep.ppo
GAE | 17.13 | formulas.generalized_advantage_estimate
Reward model | 18.4 | language.reward_model
RLHF with PPO | 19.17 | language.rlhf
DPO | 19.21 | formulas.dpo_loss
GRPO | 20.8 | language.grpo
GRPO with process supervision | 20.24 | formulas.process_advantages
"""
